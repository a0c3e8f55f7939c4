FROM a
CMD   [ "a" ,	"b"  ]  
CMD[ "x" ]
CMD [\
  "a", \
  # why
  "b" \
]

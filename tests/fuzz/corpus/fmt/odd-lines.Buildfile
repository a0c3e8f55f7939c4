	# indented comment
  FROM a \
    # inside
    AS \

    b   
RUN one\
two\ 	
  three
RUN four \\
RUN five \\\
\
RUN six
\
RUN seven # not a comment
RUN eight \
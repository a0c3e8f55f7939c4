FROM a
ENV A b
ENV A   b  c=d  
ENV A "b c"
LABEL k v w
ENV A b \
  c

FROM a
RUN a \
\
  \
 b
\
RUN c

FROM a
RUN a\
b
RUN a \
b
RUN a \
 b
RUN a\
\
\
b

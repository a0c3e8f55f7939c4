FROM a
RUN <<A \
  cat \
  # gone
  <<B
a
A
b
B
RUN c

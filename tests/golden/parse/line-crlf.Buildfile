FROM a
RUN a \
  b

# c
COPY <<E /x
body
E
CMD ["x"]

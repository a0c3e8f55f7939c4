FROM a
CMD ["a"] b
RUN ["a"]# x
COPY ["a","b"] c

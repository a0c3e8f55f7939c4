FROM a
RUN ['a', 'b']
CMD [a]
ENTRYPOINT []x y
CMD ["a",]
CMD ["a"
CMD {"a":1}
COPY [a b] c
VOLUME [/a]
CMD "a"

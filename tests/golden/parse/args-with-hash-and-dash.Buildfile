FROM a
COPY - /x
ADD -- -x y
RUN # only a comment for the shell
CMD #x

FROM a
COPY -a b c
RUN - x
RUN -x --mount=y

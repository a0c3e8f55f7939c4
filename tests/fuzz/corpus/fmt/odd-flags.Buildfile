FROM --platform=linux/amd64 a AS b
COPY --from=b --chown="a b" --chmod='u+x' -- --x y
COPY --exclude=*.c --exclude="a b" --parents --link=false ./a/./b /c
COPY a --from=b c
RUN --mount=type=tmpfs,target=/t,size=1m --mount="type=bind,target=/b" --network=none \
  --security=insecure true
RUN -- --not-a-flag
CMD --
ADD --keep-git-dir --checksum=sha256:00 --unpack=TRUE https://example.com/x.git#main:dir /y
ARG --ignored x=1 y
STOPSIGNAL --ignored SIGTERM
COPY --a\ b=c\"d e f

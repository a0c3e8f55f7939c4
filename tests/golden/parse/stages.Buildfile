ARG V=1
FROM a:$V AS one
FROM one AS two
COPY --from=one /a /b
COPY --from=0 /a /c
FROM scratch
COPY --from=two / /

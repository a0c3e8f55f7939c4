FROM a
RUN echo "<<A" '<<B' \<<C d<<E <<<F
RUN it's <<G
RUN echo ${x^^} <<H
RUN << I cat
i
I
RUN <<- J
RUN <<$K <<'l m' <<n\o
k
$K
lm
l m
no
no
USER <<P
RUN ["<<Q"]
COPY ["<<R", "/r"]

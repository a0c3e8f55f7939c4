FROM a
COPY <<robots.txt /x
robots.txt
RUN <<$X
a
$X
RUN <<a-b_c.d
a
a-b_c.d
RUN <<7
a
7

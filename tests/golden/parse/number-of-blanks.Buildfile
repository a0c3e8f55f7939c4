FROM    a    AS    b
COPY    a    b
ENV   A=b    C=d
EXPOSE   1   2
RUN    a    b

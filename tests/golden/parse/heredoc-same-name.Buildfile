FROM a
RUN <<E <<E
a
E
b
E
RUN <<E
E
RUN <<E
E

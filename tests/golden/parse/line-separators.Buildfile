FROM a
RUN	b
RUNc
RUNd
ENV	A=bC=d
COPY abc

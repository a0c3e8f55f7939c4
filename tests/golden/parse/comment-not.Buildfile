FROM a
RUN a # kept
ENV A=b#c D=#e
COPY #a b
WORKDIR /a#b
USER # u

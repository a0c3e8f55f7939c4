FROM a
# comment \
RUN b

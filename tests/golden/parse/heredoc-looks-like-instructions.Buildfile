FROM a
RUN <<EOF
FROM b
# comment
RUN \
CMD [
EOF
RUN c

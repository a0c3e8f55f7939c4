FROM a
# <<EOF
RUN <<EOF
# in the body
  # too

EOF
# out
RUN c

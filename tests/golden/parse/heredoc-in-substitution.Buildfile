FROM a
RUN x=$(cat <<EOF)
body
EOF)
RUN echo "${y:-<<EOF}"

FROM a
RUN << EOF
a
EOF
RUN cat <<  EOF >b
a
EOF

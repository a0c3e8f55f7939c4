# escape=`
FROM a
RUN <<EOF
a `
b \
EOF
RUN <<E`OF
x
E`OF

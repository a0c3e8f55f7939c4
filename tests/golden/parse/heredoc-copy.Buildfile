FROM a
COPY <<a /b
x
a
ADD <<EOF /c
$x \$y
EOF
COPY --chmod=755 <<"run.sh" d e/
#!/bin/sh
run.sh

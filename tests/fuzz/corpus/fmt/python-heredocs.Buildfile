# syntax=docker/dockerfile:1
FROM python:3.12-slim
RUN <<EOF
set -e
pip install --no-cache-dir flask
# this line is the shell's comment
mkdir -p /srv
EOF
COPY <<EOF /srv/app.cfg
name = ${NAME:-app}
path = "C:\\x"
EOF
COPY <<-'PY' <<"DATA" /srv/
	import sys
		print("$HOME", sys.argv)
	PY
a	b
  DATA
DATA
RUN <<PY python3 -
print("from python")
PY
RUN cat <<A 3<<B | tr a-z A-Z
one
A
two
B
RUN <<SCRIPT
#!/usr/bin/env python3
print(1 << 3)
SCRIPT
CMD ["python3", "/srv/PY"]

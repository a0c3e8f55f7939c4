# syntax=docker/dockerfile:1
FROM python:3.12-slim AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=off
WORKDIR /app

COPY <<EOF /etc/app/defaults.toml
[server]
bind = "0.0.0.0:8000"
workers = 4
home = "$PWD"
EOF

RUN <<EOF
#!/usr/bin/env python3
import pathlib

for name in ("cache", "log", "run"):
    pathlib.Path("/var/app", name).mkdir(parents=True, exist_ok=True)
EOF

RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,source=requirements.txt,target=requirements.txt \
    python -m pip install -r requirements.txt

COPY --chmod=755 <<-"SCRIPT" /usr/local/bin/start
	#!/bin/sh
	set -eu
	exec gunicorn "$@" app.wsgi
	SCRIPT

RUN cat <<-FIRST > /etc/first && cat <<-SECOND > /etc/second
	one
	FIRST
	two
	SECOND

COPY . .
HEALTHCHECK --interval=30s --timeout=3s --retries=3 \
    CMD python -c "import urllib.request as r; r.urlopen('http://localhost:8000/health')" || exit 1
CMD ["start"]

# syntax=docker/dockerfile:1
FROM nginxinc/nginx-unprivileged:1.27-alpine AS base

FROM base AS config
USER root
COPY <<'NGINX' /etc/nginx/templates/default.conf.template
server {
    listen ${PORT};
    root /usr/share/nginx/html;
    location / {
        try_files $uri $uri/ /index.html;
        add_header X-Served-By "$hostname" always;
    }
    location = /healthz { access_log off; return 204; }
}
NGINX
COPY --chmod=755 <<-"SH" /docker-entrypoint.d/90-runtime-env.sh
	#!/bin/sh
	set -eu
	jq -n 'env | with_entries(select(.key | startswith("PUBLIC_")))' > /tmp/env.json
	SH
RUN apk add --no-cache jq && nginx -t -c /etc/nginx/nginx.conf || true

FROM node:22 AS assets
WORKDIR /web
COPY package*.json .
RUN --mount=type=cache,target=/root/.npm npm ci
COPY . .
RUN npm run build -- --outDir /dist

FROM config
ARG REVISION=unknown
ARG BUILD_DATE
LABEL org.opencontainers.image.title="web" \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.created="${BUILD_DATE}" \
      org.opencontainers.image.source='https://example.com/web.git'
COPY --from=assets /dist /usr/share/nginx/html
ENV PORT=8080
EXPOSE $PORT
USER 101
HEALTHCHECK --interval=10s --timeout=2s --retries=3 CMD wget -qO- "http://127.0.0.1:$PORT/healthz" || exit 1

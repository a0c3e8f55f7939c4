FROM node:22-bookworm AS builder
ONBUILD ARG SITE_ENV=production
ONBUILD ENV NODE_ENV=$SITE_ENV
ONBUILD WORKDIR /site
ONBUILD COPY package.json package-lock.json* ./
ONBUILD RUN --mount=type=cache,target=/root/.npm npm ci --include=dev
ONBUILD COPY . .
ONBUILD RUN <<EOT
set -e
npm run build
find public -name '*.map' -delete
EOT

FROM caddy:2-alpine
ONBUILD COPY --from=builder /site/public /srv
ONBUILD RUN caddy validate --config /etc/caddy/Caddyfile
COPY <<EOT /etc/caddy/Caddyfile
:80
root * /srv
encode zstd gzip
file_server
EOT
HEALTHCHECK NONE
EXPOSE 80 443 443/udp

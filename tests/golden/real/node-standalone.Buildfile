FROM node:22-alpine AS base
FROM base AS deps
WORKDIR /app
COPY package.json yarn.lock* package-lock.json* pnpm-lock.yaml* .npmrc* ./
RUN \
  set -e; \
  if [ -f pnpm-lock.yaml ]; then corepack enable && pnpm install --frozen-lockfile; \
  elif [ -f package-lock.json ]; then npm ci; \
  elif [ -f yarn.lock ]; then yarn --frozen-lockfile; \
  else echo >&2 "no lock file"; exit 1; \
  fi
FROM base AS builder
WORKDIR /app
COPY --from=deps /app/node_modules ./node_modules
COPY . .
ARG PUBLIC_API_URL
ENV PUBLIC_API_URL=${PUBLIC_API_URL:-https://api.example.com}
RUN npm run build
FROM base
RUN addgroup -S -g 1001 web && adduser -S -u 1001 -G web web
WORKDIR /app
COPY --from=builder --chown=web:web /app/.out/standalone ./
COPY --from=builder --chown=web:web ["/app/.out/static files", "./static/"]
USER web
ENV PORT=3000 HOST="0.0.0.0" NODE_ENV=production
EXPOSE ${PORT}
CMD ["node", "server.js"]

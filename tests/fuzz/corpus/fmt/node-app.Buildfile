FROM node:22-bookworm-slim AS deps
WORKDIR /app
COPY package.json package-lock.json* ./
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=npmrc,target=/root/.npmrc \
  npm ci --omit=dev

FROM deps AS runner
ENV NODE_ENV=production \
    PORT=3000 \
    NOTE="two  words"
COPY --chown=node:node . .
USER node
EXPOSE 3000/tcp 9229
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s --retries=3 \
  CMD node -e "fetch('http://localhost:' + process.env.PORT).catch(() => process.exit(1))"
CMD node server.js --port=$PORT

# syntax=docker/dockerfile:1.17
ARG NODE_VERSION=22.12.0
FROM node:${NODE_VERSION}-alpine AS base
ENV PNPM_HOME="/pnpm" \
    PATH="/pnpm:$PATH" \
    COREPACK_ENABLE_DOWNLOAD_PROMPT=0
RUN corepack enable
WORKDIR /repo

FROM base AS manifests
COPY --parents pnpm-lock.yaml pnpm-workspace.yaml package.json apps/*/package.json packages/*/package.json ./

FROM base AS deps
COPY --from=manifests /repo .
RUN --mount=type=cache,id=pnpm,target=/pnpm/store \
    pnpm install --frozen-lockfile --prefer-offline

FROM deps AS build
COPY --exclude=**/node_modules --exclude=**/dist . .
ARG APP=web
RUN --mount=type=cache,id=turbo,target=/repo/.turbo \
    --mount=type=secret,id=npm_token,env=NPM_TOKEN \
    pnpm turbo run build --filter="${APP}..." \
 && pnpm deploy --filter="$APP" --prod "/out/$APP"

FROM base AS final
ARG APP=web
ENV NODE_ENV=production
COPY --from=build --link --chown=1000:1000 /out/${APP} /srv
WORKDIR /srv
USER node
EXPOSE 3000/tcp
CMD ["node", "--enable-source-maps", "dist/index.js"]

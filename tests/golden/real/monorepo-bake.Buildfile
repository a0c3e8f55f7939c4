ARG ALPINE_VERSION=3.19
ARG XX_VERSION=1.4.0
ARG GO_VERSION=1.22

FROM --platform=$BUILDPLATFORM tonistiigi/xx:${XX_VERSION} AS xx
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-alpine${ALPINE_VERSION} AS golatest

FROM golatest AS base
COPY --link --from=xx / /
RUN apk add --no-cache git file bash clang lld musl pkgconfig make
WORKDIR /src
ENV CGO_ENABLED=0

FROM base AS version
RUN --mount=target=. <<'EOT'
  set -e
  PKG=example.org/engine
  VERSION=$(git describe --match 'v[0-9]*' --dirty='.m' --always --tags)
  echo "-X ${PKG}/version.Version=${VERSION}" | tee /tmp/.ldflags
  echo -n "${VERSION}" | tee /tmp/.version
EOT

FROM base AS build
ARG TARGETPLATFORM
RUN --mount=type=bind,target=. \
  --mount=type=cache,target=/root/.cache \
  --mount=target=/go/pkg/mod,type=cache \
  --mount=type=bind,source=/tmp/.ldflags,target=/tmp/.ldflags,from=version \
  set -x; xx-go build -trimpath -ldflags "$(cat /tmp/.ldflags)" -o /out/engine ./cmd/engine && xx-verify --static /out/engine

FROM base AS lint
RUN --mount=type=bind,target=. go vet ./...

FROM scratch AS binaries
COPY --link --from=build /out/engine /

FROM alpine:${ALPINE_VERSION} AS release
COPY --from=binaries / /usr/bin/
ENTRYPOINT ["engine"]

# syntax=docker/dockerfile:1
# check=skip=SecretsUsedInArgOrEnv
ARG GO_VERSION="1.24"
ARG ALPINE_VERSION="3.21"
ARG XX_VERSION="1.6.1"

# xx are the helpers for cross compilation
FROM --platform=$BUILDPLATFORM tonistiigi/xx:${XX_VERSION} AS xx

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-alpine${ALPINE_VERSION} AS base
COPY --from=xx / /
RUN apk add --no-cache clang file git lld musl-dev
ENV GOFLAGS=-mod=vendor
WORKDIR /src

FROM base AS version
RUN --mount=target=. <<-EOT
	version=$(git describe --match 'v[0-9]*' --dirty='.m' --always --tags)
	echo "-X main.version=${version} -X main.revision=$(git rev-parse HEAD)" | tee /tmp/.ldflags
	echo -n "${version}" > /tmp/.version
EOT

FROM base AS build
ARG TARGETPLATFORM
ARG TARGETARCH TARGETVARIANT
RUN xx-apk add --no-cache gcc musl-dev
RUN --mount=type=bind,target=. \
    --mount=type=cache,target=/root/.cache \
    --mount=from=version,source=/tmp/.ldflags,target=/tmp/.ldflags \
    --mount=type=cache,target=/go/pkg/mod \
    xx-go --wrap && CGO_ENABLED=0 xx-go build -trimpath -ldflags "$(cat /tmp/.ldflags) -w -s" -o /usr/bin/tool ./cmd/tool && \
    xx-verify --static /usr/bin/tool

# binaries has nothing but the program
FROM scratch AS binaries
COPY --link --from=build /usr/bin/tool /tool

FROM busybox AS release-pack
ARG TARGETOS TARGETARCH TARGETVARIANT
WORKDIR /work
RUN --mount=from=binaries,target=/in \
    --mount=from=version,source=/tmp/.version,target=/tmp/.version \
    mkdir -p /out && cp /in/tool "/out/tool-$(cat /tmp/.version).$TARGETOS-$TARGETARCH${TARGETVARIANT:+-$TARGETVARIANT}"

FROM scratch AS release
COPY --from=release-pack /out/ /

FROM binaries
ENTRYPOINT ["/tool"]

# syntax = docker/dockerfile:1.20
ARG GO_VERSION=1.23

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-alpine AS base
WORKDIR /src
ENV CGO_ENABLED=0 GOFLAGS="-trimpath -mod=readonly"

FROM base AS deps
RUN --mount=type=bind,source=go.mod,target=go.mod \
    --mount=type=bind,source=go.sum,target=go.sum \
    --mount=type=cache,target=/go/pkg/mod \
    go mod download

FROM deps AS build
ARG TARGETOS TARGETARCH
ARG VERSION=dev
RUN --mount=target=. \
    --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build,id=build-$TARGETARCH,sharing=locked \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -ldflags "-X main.version=${VERSION}" -o /out/ ./cmd/...

FROM build AS test
RUN --mount=target=. --network=none go test ./...

FROM scratch AS binaries
COPY --from=build --link /out/ /

FROM gcr.io/distroless/static:nonroot
COPY --from=build --chown=65532:65532 --chmod=0755 /out/server /server
USER 65532
ENTRYPOINT ["/server"]

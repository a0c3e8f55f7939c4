# syntax=docker/dockerfile:1
FROM --platform=$BUILDPLATFORM lukemathwalker/cargo-chef:latest-rust-1.83-bookworm AS chef
WORKDIR /app

FROM chef AS planner
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS builder
ARG TARGETARCH
ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TERM_COLOR=always
RUN <<'EOT' bash
  set -euo pipefail
  case "$TARGETARCH" in
    amd64) triple=x86_64-unknown-linux-gnu; packages= ;;
    arm64) triple=aarch64-unknown-linux-gnu; packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;;
    *) echo >&2 "unsupported architecture: $TARGETARCH"; exit 1 ;;
  esac
  if [[ -n $packages ]]; then
    apt-get update && apt-get install -y --no-install-recommends $packages
    rm -rf /var/lib/apt/lists/*
  fi
  rustup target add "$triple"
  echo "$triple" > /triple
EOT
COPY --from=planner /app/recipe.json recipe.json
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/app/target,id=chef-$TARGETARCH \
    cargo chef cook --release --target "$(cat /triple)" --recipe-path recipe.json
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/app/target,id=chef-$TARGETARCH \
    cargo build --release --target "$(cat /triple)" --bin server && \
    install -D "target/$(cat /triple)/release/server" /out/server

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=builder /out/server /usr/local/bin/server
ENTRYPOINT ["/usr/local/bin/server"]
CMD ["--config", "/etc/server.toml"]

FROM --platform=$BUILDPLATFORM alpine:3.21 AS build
ARG ZIG=0.13.0
ARG BUILDARCH TARGETARCH TARGETVARIANT
RUN apk add --no-cache xz
RUN set -e; \
    case $BUILDARCH in amd64) host=x86_64;; arm64) host=aarch64;; *) exit 1;; esac; \
    wget -qO- "https://ziglang.org/download/$ZIG/zig-linux-$host-$ZIG.tar.xz" | tar -xJ -C /opt; \
    ln -s /opt/zig-linux-*/zig /usr/local/bin/zig
WORKDIR /src
COPY build.zig build.zig.zon ./
COPY src/ src/
RUN --mount=type=cache,target=/root/.cache/zig <<'SCRIPT' sh -e
case "$TARGETARCH$TARGETVARIANT" in
  amd64)   cpu=x86_64-linux-musl ;;
  arm64*)  cpu=aarch64-linux-musl ;;
  armv7)   cpu=arm-linux-musleabihf ;;
  riscv64) cpu=riscv64-linux-musl ;;
  *)       echo "what is $TARGETARCH?" >&2; exit 1 ;;
esac
zig build -Dtarget="$cpu" -Doptimize=ReleaseSafe --prefix /out
SCRIPT
FROM scratch
COPY --from=build /out/bin/ /
USER 65534:65534
ENTRYPOINT ["/tool"]

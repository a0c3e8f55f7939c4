FROM alpine:3.19

RUN apk add --no-cache ca-certificates libcap mailcap

RUN set -eux; \
	mkdir -p \
		/config/edge \
		/data/edge \
		/etc/edge \
		/usr/share/edge \
	; \
	wget -O /etc/edge/Edgefile "https://example.org/edge/33ae08ff08d168572df2956ed14fbc4949880d94/config/Edgefile"

ENV EDGE_VERSION v2.7.6

RUN set -eux; \
	apkArch="$(apk --print-arch)"; \
	case "$apkArch" in \
		x86_64)  binArch='amd64'; checksum='b74311ec8263f30f6d36e5c8be151e8bc092b377789a55300d5671238b9043de' ;; \
		armhf)   binArch='armv6'; checksum='68b0bbcc2c6f9c3c1b0c4ffc0b2dfe0fa7a0ae5ee5cd4bfc69c4d0a8e4c2c7b7' ;; \
		aarch64) binArch='arm64'; checksum='1e5f5ee6fce6de4ab3bb9a1df24b1d94fdf94b1fce4eb2ae3ff5b7c0ca2ef0f3' ;; \
		*) echo >&2 "error: unsupported architecture ($apkArch)"; exit 1 ;;\
	esac; \
	wget -O /tmp/edge.tar.gz "https://example.org/edge_2.7.6_linux_${binArch}.tar.gz"; \
	echo "$checksum  /tmp/edge.tar.gz" | sha512sum -c; \
	tar x -z -f /tmp/edge.tar.gz -C /usr/bin edge; \
	setcap cap_net_bind_service=+ep /usr/bin/edge; \
	chmod +x /usr/bin/edge; \
	edge version

ENV XDG_CONFIG_HOME /config
ENV XDG_DATA_HOME /data

LABEL org.opencontainers.image.version=v2.7.6
LABEL org.opencontainers.image.title=Edge
LABEL org.opencontainers.image.description="a powerful, extensible platform written to serve your sites"
LABEL org.opencontainers.image.licenses=Apache-2.0

EXPOSE 80
EXPOSE 443
EXPOSE 443/udp
EXPOSE 2019

WORKDIR /srv

CMD ["edge", "run", "--config", "/etc/edge/Edgefile", "--adapter", "edgefile"]

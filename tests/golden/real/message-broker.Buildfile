FROM ubuntu:22.04 as build-base

ARG BUILDKIT_SBOM_SCAN_STAGE=true
ENV DEBIAN_FRONTEND=noninteractive
RUN set -eux; \
	apt-get update; \
	apt-get install --yes --no-install-recommends \
		build-essential \
		ca-certificates \
		gnupg \
		libncurses5-dev \
		wget

FROM build-base as openssl-builder
ENV OPENSSL_VERSION 3.1.5
ARG OPENSSL_PGP_KEY_IDS="0x8657ABB260F056B1E5190839D9C4D26D0E604491 0xB7C1C14360F353A36862E4D5231C84CDDCC69C45"
ENV OTP_PATH="/opt/erlang"
ENV OPENSSL_PATH="/opt/openssl"
RUN set -eux; \
	export GNUPGHOME="$(mktemp -d)"; \
	for OPENSSL_PGP_KEY_ID in $OPENSSL_PGP_KEY_IDS; do \
		gpg --batch --keyserver hkps://keys.example.org --recv-keys "$OPENSSL_PGP_KEY_ID"; \
	done; \
	MACHINE="$(dpkg-architecture --query DEB_BUILD_GNU_CPU)" \
	RELEASE="4.x.y-z" \
	SYSTEM='Linux' \
	BUILD='???' \
	./Configure \
		--openssldir="$OPENSSL_PATH/etc/ssl" \
		-Wl,-rpath="$OPENSSL_PATH/lib" \
	; \
	make -j "$(getconf _NPROCESSORS_ONLN)"

FROM build-base as erlang-builder
COPY --from=openssl-builder /opt/openssl /opt/openssl
RUN /opt/openssl/bin/openssl version

FROM ubuntu:22.04
COPY --from=erlang-builder /opt/openssl /opt/openssl
ENV BROKER_DATA_DIR /var/lib/broker
RUN set -eux; \
	groupadd --gid 999 --system broker; \
	useradd --uid 999 --system --home-dir "$BROKER_DATA_DIR" --gid broker broker; \
	mkdir -p "$BROKER_DATA_DIR" /etc/broker /etc/broker/conf.d /tmp/broker-ssl /var/log/broker; \
	chmod 777 "$BROKER_DATA_DIR" /etc/broker /etc/broker/conf.d /tmp/broker-ssl /var/log/broker; \
	ln -sf "$BROKER_DATA_DIR/.erlang.cookie" /root/.erlang.cookie
ENV HOME $BROKER_DATA_DIR
VOLUME $BROKER_DATA_DIR
ENV LANG=C.UTF-8 LANGUAGE=C.UTF-8 LC_ALL=C.UTF-8
COPY --chown=broker:broker 10-defaults.conf 20-management_agent.disable_metrics_collector.conf /etc/broker/conf.d/
EXPOSE 4369 5671 5672 15691 15692 25672
CMD ["broker-server"]

FROM debian:12-slim

RUN set -eux; \
	groupadd -r app --gid=999; \
	useradd -r -g app --uid=999 --home-dir=/var/lib/app --shell=/bin/bash app; \
	install --verbose --directory --owner app --group app --mode 1777 /var/lib/app

RUN set -ex; \
	\
	apt-get update; \
	apt-get install -y --no-install-recommends \
		gnupg \
		tzdata \
		xz-utils \
	; \
	rm -rf /var/lib/apt/lists/*

ENV GOSU_VERSION 1.17
RUN set -eux; \
	dpkgArch="$(dpkg --print-architecture | awk -F- '{ print $NF }')"; \
	case "$dpkgArch" in \
		amd64) sum='aaaa' ;; \
		arm64) sum='bbbb' ;; \
		*) echo >&2 "unknown: $dpkgArch"; exit 1 ;; \
	esac; \
	echo "$sum *gosu" | sha256sum -c -

ENV PATH $PATH:/usr/lib/app/bin
VOLUME /var/lib/app/data
COPY docker-entrypoint.sh /usr/local/bin/
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
EXPOSE 5432
CMD ["app"]

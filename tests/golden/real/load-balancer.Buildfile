FROM debian:bookworm-slim
RUN set -eux; \
	groupadd --gid 99 --system lb; \
	useradd --gid lb --home-dir /var/lib/lb --no-create-home --system --uid 99 lb; \
	mkdir /var/lib/lb; \
	chown lb:lb /var/lib/lb
ENV LB_VERSION 2.9.5
RUN set -eux; \
	makeOpts=' \
		TARGET=linux-glibc \
		USE_GETADDRINFO=1 \
		USE_LUA=1 LUA_INC=/usr/include/lua5.4 \
		USE_OPENSSL=1 \
		USE_PCRE2=1 USE_PCRE2_JIT=1 \
		USE_PROMEX=1 \
		\
		EXTRA_OBJS=" \
		" \
	'; \
	dpkgArch="$(dpkg --print-architecture)"; \
	case "$dpkgArch" in \
		armel) makeOpts="$makeOpts ADDLIB=-latomic" ;; \
	esac; \
	nproc="$(nproc)"; \
	eval "make -C /usr/src/lb -j '$nproc' all $makeOpts"; \
	eval "make -C /usr/src/lb install-bin $makeOpts"; \
	lb -v
# graceful stop
STOPSIGNAL SIGUSR1
COPY docker-entrypoint.sh /usr/local/bin/
ENTRYPOINT ["docker-entrypoint.sh"]
USER lb
WORKDIR /var/lib/lb
CMD ["lb", "-f", "/usr/local/etc/lb/lb.cfg"]

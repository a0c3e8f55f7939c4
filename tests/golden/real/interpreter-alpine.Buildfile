FROM alpine:3.19
ENV PATH /usr/local/bin:$PATH
ENV LANG C.UTF-8
RUN set -eux; \
	apk add --no-cache \
		ca-certificates \
		tzdata \
	;
ENV INTERP_VERSION 3.12.2
RUN set -eux; \
	\
	apk add --no-cache --virtual .build-deps \
		bluez-dev \
		bzip2-dev \
		dpkg-dev dpkg \
		gcc \
		libc-dev \
		linux-headers \
		make \
		openssl-dev \
		pax-utils \
		zlib-dev \
	; \
	wget -O interp.tar.xz "https://example.org/Interp-$INTERP_VERSION.tar.xz"; \
	make -j "$(nproc)" LDFLAGS="${LDFLAGS:--Wl},-rpath='\$\$ORIGIN/../lib'" interp; \
	\
	find /usr/local -type f -executable -not \( -name '*tkinter*' \) -exec scanelf --needed --nobanner --format '%n#p' '{}' ';' \
		| tr ',' '\n' \
		| sort -u \
		| awk 'system("[ -e /usr/local/lib/" $1 " ]") == 0 { next } { print "so:" $1 }' \
		| xargs -rt apk add --no-network --virtual .interp-rundeps \
	; \
	apk del --no-network .build-deps
CMD ["interp3"]

FROM buildpack-deps:bookworm

# the one we build comes before the distribution's
ENV PATH /usr/local/bin:$PATH
ENV LANG C.UTF-8

RUN set -eux; \
	apt-get update; \
	apt-get install -y --no-install-recommends \
		libbluetooth-dev \
		tk-dev \
		uuid-dev \
	; \
	rm -rf /var/lib/apt/lists/*

ENV GPG_KEY 7169605F62C751356D054A26A821E680E5FA6305
ENV INTERP_VERSION 3.12.2

RUN set -eux; \
	\
	wget -O interp.tar.xz "https://example.org/ftp/${INTERP_VERSION%%[a-z]*}/Interp-$INTERP_VERSION.tar.xz"; \
	mkdir -p /usr/src/interp; \
	tar --extract --directory /usr/src/interp --strip-components=1 --file interp.tar.xz; \
	rm interp.tar.xz; \
	cd /usr/src/interp; \
	gnuArch="$(dpkg-architecture --query DEB_BUILD_GNU_TYPE)"; \
	./configure \
		--build="$gnuArch" \
		--enable-loadable-sqlite-extensions \
		--enable-optimizations \
		--enable-option-checking=fatal \
		--enable-shared \
		--with-lto \
		--with-system-expat \
		--without-ensurepip \
	; \
	nproc="$(nproc)"; \
	EXTRA_CFLAGS="$(dpkg-buildflags --get CFLAGS)"; \
	LDFLAGS="$(dpkg-buildflags --get LDFLAGS)"; \
	make -j "$nproc" \
		"EXTRA_CFLAGS=${EXTRA_CFLAGS:-}" \
		"LDFLAGS=${LDFLAGS:-}" \
		"PROFILE_TASK=${PROFILE_TASK:-}" \
	; \
	make install; \
	cd /; \
	rm -rf /usr/src/interp; \
	find /usr/local -depth \
		\( \
			\( -type d -a \( -name test -o -name tests -o -name idle_test \) \) \
			-o \( -type f -a \( -name '*.pyc' -o -name '*.pyo' -o -name 'libinterp*.a' \) \) \
		\) -exec rm -rf '{}' + \
	; \
	ldconfig; \
	interp3 --version

RUN set -eux; \
	for src in idle3 pydoc3 interp3 interp3-config; do \
		dst="$(echo "$src" | tr -d 3)"; \
		[ -s "/usr/local/bin/$src" ]; \
		[ ! -e "/usr/local/bin/$dst" ]; \
		ln -svT "$src" "/usr/local/bin/$dst"; \
	done

CMD ["interp3"]

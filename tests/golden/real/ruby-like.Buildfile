FROM buildpack-deps:bookworm

# skip installing documentation of gems
RUN set -eux; \
	mkdir -p /usr/local/etc; \
	echo 'gem: --no-document' >> /usr/local/etc/gemrc

ENV LANG C.UTF-8
ENV RUBY_VERSION 3.3.0
ENV RUBY_DOWNLOAD_URL https://example.org/pub/ruby/3.3/ruby-3.3.0.tar.xz
ENV RUBY_DOWNLOAD_SHA256 676b65a36e637e90f982b57b059189b3276b9045034dcd186a7e9078847b975b

# some of the build scripts are themselves in the language: so it is installed and purged
RUN set -eux; \
	savedAptMark="$(apt-mark showmanual)"; \
	apt-get update; \
	apt-get install -y --no-install-recommends bison dpkg-dev libgdbm-dev ruby; \
	rm -rf /var/lib/apt/lists/*; \
	rustArch=; \
	dpkgArch="$(dpkg --print-architecture)"; \
	case "$dpkgArch" in \
		'amd64') rustArch='x86_64-unknown-linux-gnu' ;; \
		'arm64') rustArch='aarch64-unknown-linux-gnu' ;; \
	esac; \
	if [ -n "$rustArch" ]; then mkdir -p /tmp/rust; fi; \
	{ \
		echo '#define ENABLE_PATH_CHECK 0'; \
		echo; \
		cat file.c; \
	} > file.c.new; \
	mv file.c.new file.c; \
	./configure --build="$(dpkg-architecture --query DEB_BUILD_GNU_TYPE)" --disable-install-doc --enable-shared ${rustArch:+--enable-yjit}; \
	make -j "$(nproc)"; \
	make install; \
	if dpkg -l | grep -i ruby; then exit 1; fi; \
	[ "$(command -v ruby)" = '/usr/local/bin/ruby' ]

ENV GEM_HOME /usr/local/bundle
ENV BUNDLE_SILENCE_ROOT_WARNING=1 \
	BUNDLE_APP_CONFIG="$GEM_HOME"
ENV PATH $GEM_HOME/bin:$PATH
RUN set -eux; mkdir "$GEM_HOME"; chmod 1777 "$GEM_HOME"

CMD [ "irb" ]

FROM debian:bookworm-scm
RUN set -ex; \
	apt-get update; \
	apt-get install -y --no-install-recommends \
		autoconf automake bzip2 default-libmysqlclient-dev dpkg-dev file g++ gcc imagemagick \
		libbz2-dev libc6-dev libcurl4-openssl-dev libdb-dev libevent-dev libffi-dev libgdbm-dev \
		libglib2.0-dev libgmp-dev libjpeg-dev libkrb5-dev liblzma-dev libncurses5-dev libpng-dev \
		make patch unzip xz-utils zlib1g-dev \
# the client library has another name on some releases
		$( \
			if apt-cache show 'default-libmysqlclient-dev' 2>/dev/null | grep -q '^Version:'; then \
				echo 'default-libmysqlclient-dev'; \
			else \
				echo 'libmysqlclient-dev'; \
			fi \
		) \
	; \
	rm -rf /var/lib/apt/lists/*

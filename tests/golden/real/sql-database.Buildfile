FROM debian:bookworm-slim

RUN set -eux; \
	groupadd -r sql --gid=999; \
	useradd -r -g sql --uid=999 --home-dir=/var/lib/sql --shell=/bin/bash sql; \
	install --verbose --directory --owner sql --group sql --mode 1777 /var/lib/sql

RUN set -eux; \
	if [ -f /etc/dpkg/dpkg.cfg.d/docker ]; then \
# slim images have no locales: keep those of this package
		grep -q '/usr/share/locale' /etc/dpkg/dpkg.cfg.d/docker; \
		sed -ri '/\/usr\/share\/locale/d' /etc/dpkg/dpkg.cfg.d/docker; \
		! grep -q '/usr/share/locale' /etc/dpkg/dpkg.cfg.d/docker; \
	fi; \
	apt-get update; apt-get install -y --no-install-recommends locales; rm -rf /var/lib/apt/lists/*; \
	echo 'en_US.UTF-8 UTF-8' >> /etc/locale.gen; \
	locale-gen; \
	locale -a | grep 'en_US.utf8'
ENV LANG en_US.utf8

RUN mkdir /docker-entrypoint-initdb.d

ENV SQL_MAJOR 16
ENV PATH $PATH:/usr/lib/sql/$SQL_MAJOR/bin
ENV SQL_VERSION 16.2-1.pgdg120+2

RUN set -ex; \
	\
	export PYTHONDONTWRITEBYTECODE=1; \
	\
	dpkgArch="$(dpkg --print-architecture)"; \
	aptRepo="[ signed-by=/usr/local/share/keyrings/sql.gpg.asc ] http://apt.example.org/pub/repos/apt/ bookworm-pgdg main $SQL_MAJOR"; \
	case "$dpkgArch" in \
		amd64 | arm64 | ppc64el | s390x) \
			echo "deb $aptRepo" > /etc/apt/sources.list.d/pgdg.list; \
			apt-get update; \
			;; \
		*) \
			echo "deb-src $aptRepo" > /etc/apt/sources.list.d/pgdg.list; \
			savedAptMark="$(apt-mark showmanual)"; \
			tempDir="$(mktemp -d)"; \
			cd "$tempDir"; \
			_update_repo() { \
				dpkg-scanpackages . > Packages; \
				apt-get -o Acquire::GzipIndexes=false update; \
			}; \
			_update_repo; \
			nproc="$(nproc)"; \
			export DEB_BUILD_OPTIONS="nocheck parallel=$nproc"; \
			apt-get build-dep -y sql-common pgdg-keyring; \
			ls -lAFh; \
			cd /; \
			;; \
	esac; \
	\
	apt-get install -y --no-install-recommends sql-common; \
	sed -ri 's/#(create_main_cluster) .*$/\1 = false/' /etc/sql-common/createcluster.conf; \
	apt-get install -y --no-install-recommends "sql-$SQL_MAJOR=$SQL_VERSION"; \
	rm -rf /var/lib/apt/lists/*; \
	find /usr -name '*.pyc' -type f -exec bash -c 'for pyc; do dpkg -S "$pyc" &> /dev/null || rm -vf "$pyc"; done' -- '{}' +

RUN set -eux; \
	dpkg-divert --add --rename --divert "/usr/share/sql/sql.conf.sample.dpkg" "/usr/share/sql/$SQL_MAJOR/sql.conf.sample"; \
	cp -v /usr/share/sql/sql.conf.sample.dpkg /usr/share/sql/sql.conf.sample; \
	sed -ri "s!^#?(listen_addresses)\s*=\s*\S+.*!\1 = '*'!" /usr/share/sql/sql.conf.sample; \
	grep -F "listen_addresses = '*'" /usr/share/sql/sql.conf.sample

RUN install --verbose --directory --owner sql --group sql --mode 3777 /var/run/sql

ENV SQLDATA /var/lib/sql/data
VOLUME /var/lib/sql/data

COPY docker-entrypoint.sh docker-ensure-initdb.sh /usr/local/bin/
RUN ln -sT docker-ensure-initdb.sh /usr/local/bin/docker-enforce-initdb.sh
ENTRYPOINT ["docker-entrypoint.sh"]

# SIGTERM would wait for the clients, SIGINT does not
STOPSIGNAL SIGINT
EXPOSE 5432
CMD ["sql"]

# vim:set ft=dockerfile:
FROM ubuntu:jammy

RUN groupadd -r mdb && useradd -r -g mdb mdb --home-dir /var/lib/mdb

# a small init-friendly step-down from root
# renovate: datasource=github-releases
ENV GOSU_VERSION 1.17

ARG GPG_KEYS=177F4010FE56CA3336300305F1656F24C74CD1D8
# signing key of the packages, 4096 bits
ENV GPG_KEYS=$GPG_KEYS

ARG MDB_VERSION=1:11.3.2+maria~ubu2204
ENV MDB_VERSION=$MDB_VERSION
ARG REPOSITORY="http://archive.example.org/mdb-11.3.2/repo/ubuntu/ jammy main main/debug"

RUN set -e;\
	echo "deb [signed-by=/etc/apt/trusted.gpg.d/mdb.gpg] ${REPOSITORY}" > /etc/apt/sources.list.d/mdb.list; \
	{ \
		echo 'Package: *'; \
		echo 'Pin: release o=MDB'; \
		echo 'Pin-Priority: 999'; \
	} > /etc/apt/preferences.d/mdb
# debconf is asked nothing, so an administrator password has no place here
RUN set -ex; \
	{ \
		echo "mdb-server" mysql-server/root_password password 'unused'; \
		echo "mdb-server" mysql-server/root_password_again password 'unused'; \
	} | debconf-set-selections; \
	apt-get update; \
	apt-get install -y --no-install-recommends mdb-server="$MDB_VERSION" mdb-backup socat; \
	rm -rf /var/lib/apt/lists/*; \
	rm -rf /var/lib/mdb; \
	mkdir -p /var/lib/mdb /run/mdbd; \
	chown -R mdb:mdb /var/lib/mdb /run/mdbd; \
	chmod 1777 /run/mdbd; \
	find /etc/mdb/ -name '*.cnf' -print0 \
		| xargs -0 grep -lZE '^(bind-address|log|user\s)' \
		| xargs -rt -0 sed -Ei 's/^(bind-address|log|user\s)/#&/'; \
	printf "[mariadb]\nhost-cache-size=0\nskip-name-resolve\n" > /etc/mdb/conf.d/05-skipcache.cnf

VOLUME /var/lib/mdb
COPY healthcheck.sh docker-entrypoint.sh /usr/local/bin/
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 3306
CMD ["mdbd"]

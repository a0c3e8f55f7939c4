################################################################################
# Build stage: unpack, fix permissions
################################################################################
FROM ubuntu:20.04 AS builder
RUN for iter in 1 2 3 4 5 6 7 8 9 10; do \
      apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y curl && \
      exit_code=0 && break || \
        exit_code=$? && echo "apt-get error: retry $iter in 10s" && sleep 10; \
    done; \
    exit $exit_code
RUN set -eux ; \
    tini_bin="" ; \
    case "$(arch)" in \
        aarch64) tini_bin='tini-arm64' ;; \
        x86_64)  tini_bin='tini-amd64' ;; \
        *) echo >&2 ; echo >&2 "Unsupported architecture $(arch)" ; echo >&2 ; exit 1 ;; \
    esac ; \
    curl --retry 10 -S -L -O https://example.org/tini/v0.19.0/${tini_bin} ; \
    mv ${tini_bin} /bin/tini ; \
    chmod 0555 /bin/tini
RUN mkdir /usr/share/search
WORKDIR /usr/share/search
RUN sed -i -e 's/SEARCH_DISTRIBUTION_TYPE=tar/SEARCH_DISTRIBUTION_TYPE=docker/' bin/search-env && \
    mkdir data && \
    find config -type f -exec chmod 0664 {} +

FROM ubuntu:20.04
RUN yes no | dpkg-reconfigure dash && \
    groupadd -g 1000 search && \
    adduser --uid 1000 --gid 1000 --home /usr/share/search search && \
    chown -R 0:0 /usr/share/search
ENV ELASTIC_CONTAINER true
WORKDIR /usr/share/search
COPY --from=builder --chown=0:0 /usr/share/search /usr/share/search
COPY --from=builder --chown=0:0 /bin/tini /bin/tini
ENV PATH /usr/share/search/bin:$PATH
ENV SHELL /bin/bash
COPY bin/docker-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
RUN chmod g=u /etc/passwd && \
    chmod 0555 /usr/local/bin/docker-entrypoint.sh && \
    find / -xdev -perm -4000 -exec chmod ug-s {} +
EXPOSE 9200 9300
LABEL org.label-schema.build-date="2024-02-19T10:04:32.774273190Z" \
  org.label-schema.license="Apache-2.0" \
  org.label-schema.name="Search" \
  org.label-schema.schema-version="1.0" \
  org.opencontainers.image.title="Search"
USER search:root
ENTRYPOINT ["/bin/tini", "--", "/usr/local/bin/docker-entrypoint.sh"]
CMD ["searchwrapper"]

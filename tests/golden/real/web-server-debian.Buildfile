#
# A web server with modules of our own.
#
FROM debian:bookworm-slim

LABEL maintainer="Web People <web@example.org>"

ENV WEB_VERSION   1.25.4
ENV NJS_VERSION   0.8.3
ENV PKG_RELEASE   1~bookworm

RUN set -x \
# user and group first, so that their ids do not depend on the packages
    && groupadd --system --gid 101 web \
    && useradd --system --gid web --no-create-home --home /nonexistent --comment "web user" --shell /bin/false --uid 101 web \
    && apt-get update \
    && apt-get install --no-install-recommends --no-install-suggests -y gnupg1 ca-certificates \
    && \
    SIGNING_KEY=573BFD6B3D8FBC641079A6ABABF5BD827BD9BF62; \
    export GNUPGHOME="$(mktemp -d)"; \
    found=''; \
    for server in \
        hkp://keyserver.example.org:80 \
        pgp.example.org \
    ; do \
        echo "Fetching GPG key $SIGNING_KEY from $server"; \
        gpg1 --keyserver "$server" --keyserver-options timeout=10 --recv-keys "$SIGNING_KEY" && found=yes && break; \
    done; \
    test -z "$found" && echo >&2 "error: failed to fetch GPG key $SIGNING_KEY" && exit 1; \
    gpg1 --export "$SIGNING_KEY" > /usr/share/keyrings/web-archive-keyring.gpg ; \
    rm -rf "$GNUPGHOME"; \
    apt-get remove --purge --auto-remove -y gnupg1 && rm -rf /var/lib/apt/lists/* \
    && dpkgArch="$(dpkg --print-architecture)" \
    && webPackages=" \
        web=${WEB_VERSION}-${PKG_RELEASE} \
        web-module-xslt=${WEB_VERSION}-${PKG_RELEASE} \
        web-module-njs=${WEB_VERSION}+${NJS_VERSION}-${PKG_RELEASE} \
    " \
    && case "$dpkgArch" in \
        amd64|arm64) \
            echo "deb [signed-by=/usr/share/keyrings/web-archive-keyring.gpg] https://example.org/packages/debian/ bookworm web" >> /etc/apt/sources.list.d/web.list \
            && apt-get update \
            ;; \
        *) \
            tempDir="$(mktemp -d)" \
            && chmod 777 "$tempDir" \
            && ( \
                cd "$tempDir" \
                && DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" \
                    apt-get source --compile $webPackages \
            ) \
            && dpkg-scanpackages . > "$tempDir"/Packages \
            ;; \
    esac \
    && apt-get install --no-install-recommends --no-install-suggests -y $webPackages gettext-base curl \
    && apt-get remove --purge --auto-remove -y && rm -rf /var/lib/apt/lists/* /etc/apt/sources.list.d/web.list \
# requests and errors go to the log collector
    && ln -sf /dev/stdout /var/log/web/access.log \
    && ln -sf /dev/stderr /var/log/web/error.log \
    && mkdir /docker-entrypoint.d

COPY docker-entrypoint.sh /
COPY 10-listen-on-ipv6-by-default.sh 20-envsubst-on-templates.sh /docker-entrypoint.d/
ENTRYPOINT ["/docker-entrypoint.sh"]

EXPOSE 80

STOPSIGNAL SIGQUIT

CMD ["web", "-g", "daemon off;"]

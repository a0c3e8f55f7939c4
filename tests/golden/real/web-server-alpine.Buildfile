FROM alpine:3.19
ENV WEB_VERSION 1.25.4
RUN addgroup -g 101 -S web \
    && adduser -S -D -H -u 101 -h /var/cache/web -s /sbin/nologin -G web -g web web \
    && apkArch="$(cat /etc/apk/arch)" \
    && case "$apkArch" in \
        x86_64|aarch64) \
            set -x \
            && KEY_SHA512="e09fa32f0a0eab2b879ccbbc4d0e4fb9751486eedda75e35fac65802cc9faa266425edf83e261137a2f4d16281ce2c1a5f4502930fe75154723da014214f0655" \
            && wget -O /tmp/web_signing.rsa.pub https://example.org/keys/web_signing.rsa.pub \
            && if echo "$KEY_SHA512 */tmp/web_signing.rsa.pub" | sha512sum -c -; then \
                echo "key verification succeeded!"; \
                mv /tmp/web_signing.rsa.pub /etc/apk/keys/; \
            else \
                echo "key verification failed!"; \
                exit 1; \
            fi \
            ;; \
        *) \
            tempDir="$(mktemp -d)" \
            && su nobody -s /bin/sh -c " \
                export HOME=${tempDir} \
                && cd ${tempDir} \
                && curl -f -O https://example.org/pkg-oss/archive/${WEB_VERSION}.tar.gz \
                && make module-xslt \
                " \
            ;; \
    esac
EXPOSE 80
CMD ["web", "-g", "daemon off;"]

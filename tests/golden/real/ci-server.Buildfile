FROM alpine:3.19 as jre-build
SHELL ["/bin/ash", "-o", "pipefail", "-c"]
COPY jdk-download-url.sh jdk-download.sh /usr/local/bin/
RUN apk add --no-cache ca-certificates jq curl && rm -fr /var/cache/apk/* && /usr/local/bin/jdk-download.sh alpine
ENV PATH="/opt/jdk-17/bin:${PATH}"
# a small runtime of the modules that are needed
RUN case "$(jlink --version 2>&1)" in \
      "17."*) set -- "--compress=2" ;; \
      "21."*) set -- "--compress=zip-6" ;; \
      *) echo "ERROR: unmanaged jlink version pattern" && exit 1 ;; \
    esac; \
    jlink \
      --strip-java-debug-attributes \
      "$1" \
      --add-modules ALL-MODULE-PATH \
      --no-man-pages \
      --output /javaruntime

FROM alpine:3.19 AS controller
ENV LANG C.UTF-8
ARG user=ci
ARG group=ci
ARG uid=1000
ARG gid=1000
ARG http_port=8080
ARG agent_port=50000
ARG CI_HOME=/var/ci_home
ARG REF=/usr/share/ci/ref
ENV CI_HOME $CI_HOME
ENV CI_SLAVE_AGENT_PORT ${agent_port}
ENV REF $REF
RUN mkdir -p $CI_HOME \
  && chown ${uid}:${gid} $CI_HOME \
  && addgroup -g ${gid} ${group} \
  && adduser -h "$CI_HOME" -u ${uid} -G ${group} -s /bin/bash -D ${user}
VOLUME $CI_HOME
RUN mkdir -p ${REF}/init.groovy.d
ARG CI_VERSION
ENV CI_VERSION ${CI_VERSION:-2.440}
ARG CI_SHA=aa8c0b0c4d2b3b2c0bd4aa1e4bd5b17b1f3e0d3ee0d1a3a6bd9d1bd0a1d4e8c2
ARG CI_URL=https://example.org/war/${CI_VERSION}/ci-war-${CI_VERSION}.war
RUN curl -fsSL ${CI_URL} -o /usr/share/ci/ci.war \
  && echo "${CI_SHA}  /usr/share/ci/ci.war" >/tmp/ci_sha \
  && sha256sum -c --strict /tmp/ci_sha \
  && rm -f /tmp/ci_sha
ENV JAVA_HOME=/opt/java/openjdk
ENV PATH "${JAVA_HOME}/bin:${PATH}"
COPY --from=jre-build /javaruntime $JAVA_HOME
EXPOSE ${http_port} ${agent_port}
USER ${user}
COPY ci-support ci.sh /usr/local/bin/
ENTRYPOINT ["/sbin/tini", "--", "/usr/local/bin/ci.sh"]
LABEL \
  org.opencontainers.image.vendor="CI project" \
  org.opencontainers.image.title="Official CI image" \
  org.opencontainers.image.version="${CI_VERSION}"

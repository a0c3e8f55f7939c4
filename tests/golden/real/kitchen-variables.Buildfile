# syntax=docker/dockerfile:1
ARG REGISTRY
ARG DISTRO=debian
ARG RELEASE=bookworm
ARG BASE=${REGISTRY:+$REGISTRY/}${DISTRO}:${RELEASE}${REGISTRY:+-mirror}
FROM ${BASE} AS deps-debian
RUN echo debian > /flavour
FROM alpine:3.21 AS deps-alpine
RUN echo alpine > /flavour
FROM deps-${DISTRO} AS deps

FROM deps
ARG VERSION=v1.24.3-rc.1+build.7
ENV MAJOR=${VERSION%%.*} \
    BARE=${VERSION#v} \
    TAG=${VERSION//+/_} \
    SHORT="${VERSION%-*}"
LABEL version.major="${MAJOR#v}" \
      version.tag="$TAG" \
      note='literal $VERSION' \
      "odd key"="it's \"quoted\""
ARG EXTRAS
COPY .env${EXTRAS:+.$EXTRAS} /etc/app.env
WORKDIR ${HOME:-/root}/app
EXPOSE ${PORT:-8080}/tcp
USER ${APP_USER:-65532}:${APP_GROUP:-65532}
STOPSIGNAL ${SIGNAL:-SIGQUIT}
VOLUME ${DATA:-/data}
CMD ["sh", "-c", "echo $$ && exec env"]

ARG REGISTRY=docker.io
ARG FLAVOUR=slim
FROM ${REGISTRY}/library/debian:bookworm${FLAVOUR:+-$FLAVOUR} AS runtime-amd64
FROM ${REGISTRY}/library/debian:bookworm-20240211${FLAVOUR:+-$FLAVOUR} AS runtime-arm64
FROM runtime-${TARGETARCH:-amd64} AS final
ARG REGISTRY
ARG HTTP_PROXY
ARG USER_NAME=app USER_ID=1234 GREETING="hello world"
ENV GREETING=$GREETING \
    MOTD="${GREETING}, \
${USER_NAME}"
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN useradd --uid "$USER_ID" "$USER_NAME" |& tee /tmp/log
WORKDIR /home/${USER_NAME}
COPY --chown=$USER_ID:$USER_ID --exclude=*.md --exclude=docs . ./src/
USER ${USER_NAME}
EXPOSE 8000-8010/tcp 9000/udp
STOPSIGNAL ${SIGNAL:-SIGTERM}

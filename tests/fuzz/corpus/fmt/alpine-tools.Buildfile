# syntax=docker/dockerfile:1
# Tools for continuous integration.

ARG ALPINE=3.20
FROM alpine:${ALPINE}

RUN apk add --no-cache \
      bash \
      curl \
      # needed by the release script
      git \
      jq

WORKDIR /work
ENTRYPOINT ["bash", "-euo", "pipefail", "-c"]
CMD ["echo ready"]

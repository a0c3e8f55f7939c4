# syntax=docker/dockerfile:1
FROM alpine:3.19
RUN apk add --no-cache openssh-client git curl
RUN mkdir -p -m 0700 ~/.ssh && ssh-keyscan git.example.org >> ~/.ssh/known_hosts
RUN --mount=type=ssh \
    git clone git@git.example.org:group/private.git /src
RUN --mount=type=secret,id=token,required=true \
    curl -H "Authorization: Bearer $(cat /run/secrets/token)" https://example.org/api > /data.json
RUN --mount=type=secret,id=aws,target=/root/.aws/credentials,mode=0400,uid=0 \
    --mount=type=tmpfs,target=/scratch,size=64m \
    true

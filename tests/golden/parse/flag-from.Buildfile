FROM --platform=$BUILDPLATFORM a AS b
FROM --platform=linux/amd64 --platform=linux/arm64 b

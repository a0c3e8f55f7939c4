FROM alpine:3.19 AS certs
RUN apk add --no-cache ca-certificates && update-ca-certificates
RUN adduser -D -u 65532 nonroot && grep nonroot /etc/passwd > /passwd.min

FROM scratch
COPY --from=certs /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=certs /passwd.min /etc/passwd
ADD rootfs.tar.xz /
USER 65532
CMD ["/bin/app"]

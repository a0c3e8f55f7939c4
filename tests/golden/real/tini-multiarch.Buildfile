FROM buildpack-deps:bookworm-curl
ARG TARGETPLATFORM
ARG TARGETARCH
ARG TARGETVARIANT
ARG TINI_VERSION=0.19.0
RUN <<"EOF"
set -eu
case "${TARGETARCH}${TARGETVARIANT:+/$TARGETVARIANT}" in
	amd64)    arch=amd64    sum=93dcc18adc78c65a028a84799ecf8ad40c936fdfc5f2a57b1acda5a8117fa82c ;;
	arm64*)   arch=arm64    sum=07952557df20bfd2a95f9bef198b445e006171969499a1d361bd9e6f8e5e0e81 ;;
	arm/v7)   arch=armhf    sum=5a9b35f09ad2fb5d08f11ceb84407803a1deff96cbdc0d1222f9f8323f3f8ad4 ;;
	arm/v6)   arch=armel    sum=43c6f2aa45e3a0bd5f0d9e6ac0a4b1e9d2e55d4cbbf5a4c4f6e9f7d2a5c4b9e2 ;;
	ppc64le)  arch=ppc64el  sum=3f658420974768e40810001a038c29d003728c5fe86da211cff5059e48cfdfde ;;
	*) printf 'no tini for %s\n' "$TARGETPLATFORM" >&2; exit 1 ;;
esac
curl -fsSLo /tini "https://github.com/krallin/tini/releases/download/v${TINI_VERSION}/tini-static-$arch"
echo "$sum  /tini" | sha256sum -c -
chmod +x /tini
EOF
ENTRYPOINT ["/tini", "--"]
CMD ["/bin/bash"]

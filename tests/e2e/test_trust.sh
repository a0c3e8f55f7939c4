# users: any single
# --ca-cert: certificates that steps trust while they run, and that are in no layer, history or key.
# shellcheck shell=bash
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need openssl jq

openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/key.pem" -out "$work/corp.pem" -days 30 -subj /CN=corp.example 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/key.pem" -out "$work/image.pem" -days 30 -subj /CN=image.example 2>/dev/null
mark=$(sed -n 3p "$work/corp.pem")

context trust <<'END'
FROM scratch
COPY root/ /
RUN ["/bin/busybox", "--install", "-s", "/bin"]
END
mkdir -p "$context"/root/{bin,etc/ssl/certs,etc/pki/tls/certs}
cp /bin/busybox "$context/root/bin/"
cp "$work/image.pem" "$context/root/etc/ssl/certs/ca-certificates.crt"
ln -s ../../../ssl/certs/ca-certificates.crt "$context/root/etc/pki/tls/certs/ca-bundle.crt"
cp "$context/Buildfile" "$work/head"

# try NAME STEP: builds with and without the certificate; both images must be the same, $out is that of the first.
try() {
	cp "$work/head" "$context/Buildfile"
	printf '%s\n' "$2" >>"$context/Buildfile"
	cb --no-cache --build-arg SOURCE_DATE_EPOCH=0 --ca-cert "$work/corp.pem" -o "type=oci,dest=$work/with.tar,compression=uncompressed" "$context"
	local with=$out
	hasnt "$1: nothing in the image" "$(tr -d '\0' <"$work/with.tar")" "$mark"
	cb --no-cache --build-arg SOURCE_DATE_EPOCH=0 -o "type=oci,dest=$work/without.tar,compression=uncompressed" "$context"
	is "$1: the same files" "$(oci_list "$work/with.tar")" "$(oci_list "$work/without.tar")"
	is "$1: the same history" "$(oci_config "$work/with.tar" '[.history[].created_by], .config')" "$(oci_config "$work/without.tar" '[.history[].created_by], .config')"
	out=$with
}

say "a step sees them"
# shellcheck disable=SC2016 # the step's shell expands it
try seen 'RUN cat /etc/pki/tls/certs/ca-bundle.crt; wc -l <"$SSL_CERT_FILE"; echo "$NODE_EXTRA_CA_CERTS $REQUESTS_CA_BUNDLE $CURL_CA_BUNDLE $GIT_SSL_CAINFO"'
has "in the bundle, by a link" "$out" "$mark"
has "beside those of the image" "$out" "$(sed -n 3p "$work/image.pem")"
has "and by variables" "$out" "/run/cbuild/ca-certificates.crt /run/cbuild/ca-certificates.crt"
is "a layer without a trace" "$(oci_config "$work/with.tar" ".rootfs.diff_ids[-1]")" "$(oci_config "$work/without.tar" ".rootfs.diff_ids[-1]")"

say "a step may change the bundle"
try appended 'RUN echo more >>/etc/ssl/certs/ca-certificates.crt'
is "what it added stays" "$(oci_file "$work/with.tar" /etc/ssl/certs/ca-certificates.crt | tail -n1)" more
try replaced 'RUN cd /etc/ssl/certs && cp ca-certificates.crt new && echo x >>new && mv new ca-certificates.crt'
try removed 'RUN rm /etc/ssl/certs/ca-certificates.crt'
hasnt "it is gone" "$(oci_list "$work/with.tar")" " etc/ssl/certs/ca-certificates.crt"
try beside 'RUN rm -r /etc/ssl && mkdir /etc/ssl && touch /etc/ssl/other && chmod 700 /etc/pki'
# shellcheck disable=SC2016
try copied 'RUN cd /etc/ssl/certs && cat ca-certificates.crt "${SSL_CERT_FILE:-ca-certificates.crt}" >/etc/twice && chmod 400 /etc/twice'
is "without them" "$(oci_file "$work/with.tar" /etc/twice)" "$(cat "$work/image.pem" "$work/image.pem")"
try moved 'RUN mv /etc/ssl /etc/tls && ln -s / /etc/ssl'

say "keys"
cp "$work/head" "$context/Buildfile"
cat >>"$context/Buildfile" <<'END'
ENV SSL_CERT_FILE=/mine
RUN echo "$SSL_CERT_FILE" "$CURL_CA_BUNDLE"
END
cb --ca-cert "$work/corp.pem" "$context"
has "the image's own variable stays" "$out" "/mine /run/cbuild"
cb "$context"
has "no part of a key" "$out" "CACHED"
hasnt "so nothing runs" "$out" "/mine /run"
cb --ca-cert "$work/image.pem" "$context"
hasnt "nor for others" "$out" "/mine /run"

say "an image without a bundle; what the host trusts; mistakes"
context bare <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "busybox grep -c BEGIN.CERT $SSL_CERT_FILE"]
END
cp /bin/busybox "$context/"
cb --no-cache --ca-cert "$work/corp.pem" "$context"
[ ! -s /etc/ssl/certs/ca-certificates.crt ] || cb --no-cache --ca-cert host "$context"
echo nothing >"$work/empty.pem"
status 2 "$CBUILD" --ca-cert "$work/empty.pem" "$context"
has "no certificate" "$out" "there is no PEM certificate in it"
status 2 "$CBUILD" --ca-cert "$work/missing.pem" "$context"

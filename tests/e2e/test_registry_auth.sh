# users: any
# Bases from a registry with TLS of its own CA and with Basic authentication; by tag, by digest, by platform; gzip and zstd.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need docker-registry skopeo openssl htpasswd jq
busybox_tar

say "a registry with TLS and a password"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/ca.key" -out "$work/ca.crt" -days 2 -subj /CN=test-ca 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout "$work/tls.key" -out "$work/tls.csr" -subj /CN=localhost 2>/dev/null
openssl x509 -req -in "$work/tls.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 2 -out "$work/tls.crt" \
	-extfile <(echo subjectAltName=DNS:localhost,IP:127.0.0.1) 2>/dev/null
htpasswd -Bbc "$work/htpasswd" alice secret 2>/dev/null
port=$((20000 + RANDOM % 20000))
cat >"$work/tls.yml" <<END
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $work/tls-registry}}
http: {addr: "127.0.0.1:$port", tls: {certificate: $work/tls.crt, key: $work/tls.key}}
auth: {htpasswd: {realm: test, path: $work/htpasswd}}
END
docker-registry serve "$work/tls.yml" >"$work/tls.log" 2>&1 &
registry_pid=$!
registry=localhost:$port
for _ in $(seq 100); do
	! curl -s --cacert "$work/ca.crt" -o /dev/null "https://$registry/v2/" || break
	sleep 0.1
done
python3 "$here/image_from_tar.py" "$work/busybox.tar" '{"Cmd":["sh"]}' "$work/base.tar"
mkdir "$work/certs"
cp "$work/ca.crt" "$work/certs/"
for format in gzip zstd; do
	skopeo_ copy -q --dest-cert-dir "$work/certs" --dest-creds alice:secret --dest-compress-format $format -f oci \
		"docker-archive:$work/base.tar" "docker://$registry/base:$format"
done

context auth <<END
ARG TAG=gzip
FROM $registry/base:\$TAG
RUN echo it works > /works
END

say "refused without a password, with a wrong one, without the CA"
export DOCKER_CONFIG=$work/docker
mkdir -p "$DOCKER_CONFIG"
status 1 "$CBUILD" build --ca-cert "$work/ca.crt" "$context"
has "says what is wanted" "$out" "$registry"
printf '{"auths":{"%s":{"auth":"%s"}}}' "$registry" "$(printf alice:wrong | base64)" >"$DOCKER_CONFIG/config.json"
status 1 "$CBUILD" build --ca-cert "$work/ca.crt" "$context"
printf '{"auths":{"%s":{"auth":"%s"}}}' "$registry" "$(printf alice:secret | base64)" >"$DOCKER_CONFIG/config.json"
got=0
"$CBUILD" build "$context" >"$work/out" 2>&1 || got=$?
checks=$((checks + 1))
[ "$got" -ne 0 ] || fail "an unknown CA was trusted"

say "pulled with both; gzip and zstd layers"
for format in gzip zstd; do
	cb build --ca-cert "$work/ca.crt" --build-arg TAG=$format -o "type=oci,dest=$work/$format.tar" "$context"
	is "$format" "$(oci_file "$work/$format.tar" /works)" "it works"
done

say "by digest"
digest=$(skopeo_ inspect --cert-dir "$work/certs" --creds alice:secret --format '{{.Digest}}' "docker://$registry/base:gzip")
context digest <<END
FROM $registry/base@$digest
RUN true
END
cb build --ca-cert "$work/ca.crt" "$context"
context baddigest <<END
FROM $registry/base@sha256:$(printf %064d 1)
RUN true
END
status 1 "$CBUILD" build --ca-cert "$work/ca.crt" "$context"

say "a registry that wants a certificate of its clients"
openssl req -newkey rsa:2048 -nodes -keyout "$work/client.key" -out "$work/client.csr" -subj /CN=builder 2>/dev/null
openssl x509 -req -in "$work/client.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 2 -out "$work/client.cert" 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/other.key" -out "$work/other.cert" -days 2 -subj /CN=stranger 2>/dev/null
kill "$registry_pid" && wait "$registry_pid" 2>/dev/null || true
sed -e '/^auth:/d' -e "s|tls: {|&clientcas: [$work/ca.crt], |" "$work/tls.yml" >"$work/mutual.yml"
docker-registry serve "$work/mutual.yml" >"$work/mutual.log" 2>&1 &
registry_pid=$!
for _ in $(seq 100); do
	! curl -s --cacert "$work/ca.crt" --cert "$work/client.cert" --key "$work/client.key" -o /dev/null "https://$registry/v2/" || break
	sleep 0.1
done
in_home() {
	local got=0
	HOME=$work/home "$@" || got=$?
	echo "status $got"
}
# with_certificates NAME... -- COMMAND...: with these files in certs.d of the user
with_certificates() {
	local certs=$work/home/.config/containers/certs.d/$registry
	rm -rf "${work:?}/home" && mkdir -p "$certs"
	while [ "$1" != -- ]; do
		cp "$work/$1" "$certs/client.${1##*.}"
		shift
	done
	shift
	cp "$work/ca.crt" "$certs/ca.crt"
	status 0 in_home "$@"
}
context mutual <<END
FROM $registry/base:gzip
RUN echo it works > /works
END
mtls=("$CBUILD" build --no-cache --pull -t "$registry/mutual:1" --push --progress plain "$context")
with_certificates -- "${mtls[@]}"
has "without one" "$out" "status 1"
with_certificates other.cert other.key -- "${mtls[@]}"
has "with a stranger's" "$out" "status 1"
with_certificates client.cert client.key -- "${mtls[@]}"
has "with the right one, pulled and pushed" "$out" "status 0"
with_certificates client.key -- "${mtls[@]}"
hasnt "a key without its certificate" "$out" "status 0"
with_certificates client.cert client.key -- "$CBUILD" build --progress plain --cache-to "type=registry,ref=$registry/cache" "$context"
hasnt "a cache there, given" "$out" WARNING
with_certificates client.cert client.key -- "$CBUILD" build --root "$work/store-2" --progress plain --cache-from "$registry/cache" "$context"
hasnt "a cache there, taken" "$out" WARNING
has "a cache there, taken" "$out" CACHED

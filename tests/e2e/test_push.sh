# users: any
# Images to and from registries (plain, TLS with a password, a token service), exchanged with skopeo, podman and buildah.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need docker-registry skopeo openssl htpasswd jq curl python3
busybox_tar
pids=()
stop_all() { [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true; }
at_end() { stop_all; }
export DOCKER_CONFIG=$work/docker CONTAINERS_REGISTRIES_CONF=$work/registries.conf
export TMPDIR=$work
: >"$CONTAINERS_REGISTRIES_CONF"
mkdir "$work/certs"

# serve NAME SCHEME EXTRA-YAML: one more docker-registry; its address in $address.
serve() {
	local name=$1 scheme=$2 extra=$3 http='' port
	for _ in $(seq 20); do
		port=$((20000 + RANDOM % 20000))
		[ "$scheme" = http ] || http=", tls: {certificate: $work/tls.crt, key: $work/tls.key}"
		printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s/reg-%s}, delete: {enabled: true}}\nhttp: {addr: "127.0.0.1:%s"%s}\n%s\n' \
			"$work" "$name" "$port" "$http" "$extra" >"$work/$name.yml"
		docker-registry serve "$work/$name.yml" >"$work/$name.log" 2>&1 &
		pids+=($!)
		for _ in $(seq 100); do
			if curl -s --cacert "$work/ca.crt" -o /dev/null "$scheme://localhost:$port/v2/"; then
				address=localhost:$port
				return
			fi
			kill -0 "${pids[-1]}" 2>/dev/null || break
			sleep 0.1
		done
	done
	fail "no registry $name: $(cat "$work/$name.log")"
}

say "certificates, a token service, three registries"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/ca.key" -out "$work/ca.crt" -days 2 -subj /CN=test-ca 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout "$work/tls.key" -out "$work/tls.csr" -subj /CN=localhost 2>/dev/null
openssl x509 -req -in "$work/tls.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 2 -out "$work/tls.crt" \
	-extfile <(echo subjectAltName=DNS:localhost,IP:127.0.0.1) 2>/dev/null
cp "$work/ca.crt" "$work/certs/"
htpasswd -Bbc "$work/htpasswd" alice secret 2>/dev/null
python3 "$here/tokenserver.py" "$work/ca.key" "$work/ca.crt" -59 alice:secret >"$work/token.port" 2>"$work/token.log" &
pids+=($!)
for _ in $(seq 100); do [ -s "$work/token.port" ] || sleep 0.1; done
serve plain http ""
plain=$address
serve tls https "auth: {htpasswd: {realm: test, path: $work/htpasswd}}"
tls=$address
serve token http "auth: {token: {realm: \"http://127.0.0.1:$(cat "$work/token.port")/token\", service: test, issuer: test, rootcertbundle: $work/ca.crt}}"
token=$address

say "login and logout"
status 1 "$CBUILD" login --ca-cert "$work/ca.crt" -u alice -p wrong "$tls"
has "says who is refused" "$out" "401"
[ ! -e "$DOCKER_CONFIG/config.json" ] || fail "a wrong password was kept"
for registry in "$tls" "$token"; do
	printf secret | "$CBUILD" login --ca-cert "$work/ca.crt" -u alice --password-stdin "$registry" >"$work/out" 2>&1 ||
		fail "login: $(cat "$work/out")"
done
is "mode" "$(stat -c %a "$DOCKER_CONFIG/config.json")" 600
is "as docker writes it" "$(jq -r ".auths[\"$tls\"].auth" "$DOCKER_CONFIG/config.json")" "$(printf alice:secret | base64)"
cb logout "$token"
is "only the one is gone" "$(jq -rc '.auths | keys[]' "$DOCKER_CONFIG/config.json")" "$tls"
mkdir "$work/bin"
cat >"$work/bin/docker-credential-test" <<'END'
#!/bin/sh
case $1 in
store) cat >"$DOCKER_CONFIG/kept" ;;
get) [ -s "$DOCKER_CONFIG/kept" ] && cat "$DOCKER_CONFIG/kept" || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm -f "$DOCKER_CONFIG/kept" ;;
esac
END
chmod +x "$work/bin/docker-credential-test"
PATH=$work/bin:$PATH
jq ".credHelpers[\"$token\"] = \"test\" | .other = [1]" "$DOCKER_CONFIG/config.json" >"$work/c" && cp "$work/c" "$DOCKER_CONFIG/config.json"
cb login -u alice -p secret "$token"
is "the helper has it" "$(jq -r .Username "$DOCKER_CONFIG/kept")" alice
is "the file has not" "$(jq -rc ".auths[\"$token\"], .other" "$DOCKER_CONFIG/config.json" | tr '\n' ' ')" "{} [1] "

say "permission is asked for before the first step"
context never <<END
FROM scratch
COPY Buildfile /
RUN ["/nothing"]
END
mkdir -p "$work/nobody"
DOCKER_CONFIG=$work/nobody status 1 "$CBUILD" build --ca-cert "$work/ca.crt" -t "$tls/team/app:1" --push "$context"
has "what to do" "$out" "log in"
hasnt "no step ran" "$out" "RUN"

dd if=/dev/urandom of="$work/noise" bs=1M count=3 status=none
context app <<END
FROM scratch
COPY busybox /bin/busybox
COPY noise /noise
LABEL a=b
END
cp /bin/busybox "$work/noise" "$context/"

raw() { skopeo_ inspect --raw --cert-dir "$work/certs" "$@"; }
# The digest of the manifest in the store that the last command pulled, computed from its bytes.
stored() { sha <"$work/store2/blobs/sha256/${out##*@sha256:}"; }
sha() { sha256sum | cut -d' ' -f1; }
for registry in "$plain" "$tls" "$token"; do
	insecure=true
	[ "$registry" = "$tls" ] || insecure=false
	for way in whole chunks; do
		say "push to $registry, $way"
		chunk=()
		[ $way = whole ] || chunk=(--upload-chunk 1m)
		cb build --no-cache --ca-cert "$work/ca.crt" "${chunk[@]}" -t "$registry/team/app:$way" -t "$registry/team/app:two-$way" \
			-t "$registry/other/app:$way" --push --metadata-file "$work/meta" --label "way=$way" "$context"
		want=$(jq -r '."containerimage.digest"' "$work/meta")
		for name in team/app:$way team/app:two-$way other/app:$way; do
			is "$name" "sha256:$(raw --tls-verify=$insecure "docker://$registry/$name" | sha)" "$want"
		done
		hasnt "linked in the second repository" "$(grep other/app <<<"$out")" " 0 mounted"
	done
	cb build --ca-cert "$work/ca.crt" -o "type=image,name=$registry/byname/app,push=true,push-by-digest=true" --metadata-file "$work/meta" "$context"
	is "by digest only" "sha256:$(raw --tls-verify=$insecure "docker://$registry/byname/app@$(jq -r '."containerimage.digest"' "$work/meta")" | sha)" \
		"$(jq -r '."containerimage.digest"' "$work/meta")"

	say "pushed by others, pulled here; pulled by others"
	for format in oci v2s2; do
		skopeo_ copy -q -f $format --src-cert-dir "$work/certs" --dest-cert-dir "$work/certs" --src-tls-verify=$insecure --dest-tls-verify=$insecure \
			"docker://$registry/team/app:whole" "docker://$registry/skopeo/app:$format"
		cb pull --ca-cert "$work/ca.crt" --root "$work/store2" "$registry/skopeo/app:$format"
		is "pulled $format" "$(stored)" \
			"$(raw --tls-verify=$insecure "docker://$registry/skopeo/app:$format" | sha)"
		cb push --ca-cert "$work/ca.crt" --root "$work/store2" "$registry/skopeo/app:$format" "$registry/again/app:$format"
		is "pushed again $format" "$(raw --tls-verify=$insecure "docker://$registry/again/app:$format" | sha)" \
			"$(raw --tls-verify=$insecure "docker://$registry/skopeo/app:$format" | sha)"
	done
	for tool in podman buildah; do
		command -v $tool >/dev/null || { say "SKIPPED: no $tool"; continue; }
		store=(--root "$work/$tool" --runroot "$work/$tool-run" --storage-driver vfs)
		config=(--cert-dir "$work/certs" "--tls-verify=$insecure" --authfile "$work/auth.json")
		printf '{"auths":{"%s":{"auth":"%s"}}}' "$registry" "$(printf alice:secret | base64)" >"$work/auth.json"
		status 0 $tool "${store[@]}" pull -q "${config[@]}" "$registry/team/app:chunks"
		status 0 $tool "${store[@]}" push -q "${config[@]}" "$registry/team/app:chunks" "docker://$registry/$tool/app:1"
		cb pull --ca-cert "$work/ca.crt" --root "$work/store2" --no-unpack "$registry/$tool/app:1"
		is "from $tool" "$(stored)" \
			"$(raw --tls-verify=$insecure "docker://$registry/$tool/app:1" | sha)"
	done
done
has "both repositories in one token" "$(cat "$work/token.log")" "repository:other/app:pull,push repository:team/app:pull"
cb fsck --root "$work/store2"

say "an index, whole"
for arch in amd64 arm64; do
	printf '{"architecture":"%s","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}' $arch >"$work/config-$arch"
done
skopeo_ copy -q --dest-tls-verify=false "docker://$plain/team/app:whole" "docker://$plain/multi:amd64" --src-tls-verify=false
manifest=$(raw --tls-verify=false "docker://$plain/multi:amd64")
digest=sha256:$(printf %s "$manifest" | sha)
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":%s,"platform":{"architecture":"arm64","os":"linux"}}]}' \
	"$digest" "${#manifest}" >"$work/index"
curl -fsS -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary "@$work/index" "http://$plain/v2/multi/manifests/all"
cb pull -a --root "$work/store2" "$plain/multi:all"
cb push --root "$work/store2" "$plain/multi:all" "$plain/multi2:all" --digest-file "$work/digest"
is "index" "$(cat "$work/digest")" "sha256:$(sha <"$work/index")"
is "its bytes" "$(raw --tls-verify=false "docker://$plain/multi2:all" | sha)" "$(sha <"$work/index")"

say "images of single platforms joined"
for arch in amd64 arm64; do
	context $arch <<END
FROM scratch
COPY Buildfile /$arch
END
	cb build --root "$work/store3" --platform linux/$arch -t "joined:$arch" "$context"
done
cb index create --root "$work/store3" --push "$plain/joined:1" joined:amd64 joined:arm64 --digest-file "$work/digest"
is "its platforms" "$(raw --tls-verify=false "docker://$plain/joined:1" | jq -rc '[.manifests[].platform.architecture] | join(" ")')" "amd64 arm64"
is "its digest" "$(cat "$work/digest")" "sha256:$(raw --tls-verify=false "docker://$plain/joined:1" | sha)"
cb pull --root "$work/store4" --platform linux/arm64 "$plain/joined:1"
is "arm64 chosen" "$(jq -r .config.digest "$work/store4/blobs/sha256/${out##*@sha256:}")" \
	"$(skopeo_ inspect --raw --tls-verify=false "docker://$plain/joined:1" | jq -r '.manifests[1].digest' | sed 's/.*://' | xargs -I{} jq -r .config.digest "$work/store3/blobs/sha256/{}")"
cb index create --root "$work/store4" again:1 "docker://$plain/joined:1" --digest-file "$work/digest2"
is "the same again" "$(cat "$work/digest2")" "$(cat "$work/digest")"
status 1 "$CBUILD" index create --root "$work/store3" no:1 joined:amd64 "docker://$plain/team/app:whole"
has "says which is twice" "$out" "second image for linux/amd64"

say "mirrors are for pulling"
printf 'unqualified-search-registries = []\n[[registry]]\nlocation = "registry.invalid"\n[[registry.mirror]]\nlocation = "%s/team"\ninsecure = true\n' "$plain" >"$CONTAINERS_REGISTRIES_CONF"
cb pull --root "$work/store2" registry.invalid/app:whole
status 126 "$CBUILD" push --registry-retries 0 --root "$work/store2" registry.invalid/app:whole

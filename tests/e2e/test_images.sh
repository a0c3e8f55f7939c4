# users: any single
# Images of the store: list, name, remove, describe; to archives and back, with skopeo, podman, umoci and docker on the other side.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need jq skopeo
context images <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
LABEL maker=test
ENV A=b
COPY small /small
CMD ["cat", "/small"]
END
cp /bin/busybox "$context/"
echo small >"$context/small"
iid=$("$CBUILD" build -q -t example.test/app:1 -t app:latest "$context" 2>/dev/null)
short=${iid#sha256:}
short=${short:0:12}

say "images, tag"
cb images
has "name" "$out" "example.test/app                1               $short"
has "familiar name" "$out" "app                             latest"
cb tag app example.test/other:2 third
is "pattern" "$("$CBUILD" images -q 'example.test/*' | sort -u)" "$short"
is "names" "$("$CBUILD" images --format json | jq -r '.[] | .repository + ":" + .tag' | sort | tr '\n' ' ')" \
	"app:latest example.test/app:1 example.test/other:2 third:latest "
status 1 "$CBUILD" tag missing:1 x
has "no such image" "$out" 'there is no image "missing:1"'
status 1 "$CBUILD" tag app "Bad Name"

say "inspect, history"
cb inspect app
is "id" "$(jq -r '.[0].Id' <<<"$out")" "$iid"
is "label" "$(jq -r '.[0].Config.Labels.maker' <<<"$out")" test
is "names" "$(jq -r '.[0].RepoTags | length' <<<"$out")" 4
cb inspect --raw config "$short"
is "the config's bytes" "sha256:$("$CBUILD" inspect --raw config "$short" | sha256sum | cut -d' ' -f1)" "$iid"
"$CBUILD" inspect --raw manifest app >"$work/manifest"
skopeo_ inspect --raw "oci:$CBUILD_ROOT:docker.io/library/app:latest" >"$work/manifest.skopeo"
is "the manifest's bytes, as skopeo reads them" "$(cmp "$work/manifest" "$work/manifest.skopeo" && echo same)" same
cb history app
is "the newest first" "$(sed -n 2p <<<"$out" | grep -c 'CMD \["cat"')" 1
has "a step" "$out" 'COPY small /small'
is "one line for each instruction" "$("$CBUILD" history --format json app | jq length)" 6

say "rmi"
status 1 "$CBUILD" rmi "$short"
has "several names" "$out" "has several names"
cb rmi third example.test/other:2
has "told" "$out" "Untagged: third"
cb run app
is "the others stay" "$out" small
cb rmi missing -f
status 1 "$CBUILD" rmi missing

say "save"
cb save -o "$work/docker.tar" app example.test/app:1
cb save --format oci -o "$work/oci.tar" app
cb save --format oci-dir -o "$work/layout" app
"$CBUILD" save app >"$work/stdout.tar"
is "to standard output" "$(cmp "$work/stdout.tar" <("$CBUILD" save app) && echo same)" same
for image in "docker-archive:$work/docker.tar:app:latest" "docker-archive:$work/docker.tar:example.test/app:1" "oci-archive:$work/oci.tar" "oci:$work/layout:latest"; do
	skopeo_ inspect --config --raw "$image" >"$work/config"
	is "skopeo reads $image" "sha256:$(sha256sum <"$work/config" | cut -d' ' -f1)" "$iid"
done

# loaded FILE WANT-NAME [OPTION...]: into an empty store; the image runs, has the id, and the store is sound.
loaded() {
	local file=$1 name=$2 root=$work/second
	rm -rf "$root" 2>/dev/null || podman unshare rm -rf "$root"
	status 0 "$CBUILD" load --root "$root" "${@:3}" "$file"
	has "load $file" "$out" "$name"
	is "id of $file" "$("$CBUILD" images --root "$root" -q --no-trunc | head -n 1)" "${want:-$iid}"
	status 0 "$CBUILD" tag --root "$root" "${want:-$iid}" probe:1
	status 0 "$CBUILD" run --root "$root" probe:1
	is "$file runs" "$out" small
	status 0 "$CBUILD" fsck --root "$root"
}

say "load what save wrote"
loaded "$work/docker.tar" "Loaded image: docker.io/library/app:latest"
has "both names" "$("$CBUILD" images --root "$work/second")" "example.test/app"
manifest=$("$CBUILD" inspect --raw manifest --root "$work/second" app | sha256sum)
is "the manifest is the same" "$manifest" "$(sha256sum <"$work/manifest")"
loaded "$work/oci.tar" "Loaded image: docker.io/library/app:latest"
loaded "$work/layout" "Loaded image: docker.io/library/app:latest"
gzip -k "$work/docker.tar"
loaded "$work/docker.tar.gz" "Loaded image: docker.io/library/app:latest"
rm -rf "$work/second" 2>/dev/null || podman unshare rm -rf "$work/second"
is "from standard input" "$("$CBUILD" load --root "$work/second" -q <"$work/docker.tar")" "$iid"

say "load what skopeo wrote"
skopeo_ copy -q "oci:$work/layout:latest" "docker-archive:$work/skopeo.tar:named:3"
loaded "$work/skopeo.tar" "Loaded image: docker.io/library/named:3"
skopeo_ copy -q "oci:$work/layout:latest" "oci-archive:$work/skopeo-oci.tar"
loaded "$work/skopeo-oci.tar" "Loaded image ID: $iid"
loaded "$work/skopeo-oci.tar" "Loaded image: given:4" --tag given:4
skopeo_ copy -q "oci:$work/layout:latest" "oci:$work/skopeo-layout:example.test/full:5"
loaded "$work/skopeo-layout" "Loaded image: example.test/full:5"
cb rmi --root "$work/second" -f "${iid#sha256:}"
is "nothing is left" "$(find "$work/second/blobs/sha256" -type f | wc -l)" 0

if command -v podman >/dev/null && podman --storage-driver vfs --root "$work/podman" --runroot "$work/podman-run" info >/dev/null 2>&1; then
	say "podman"
	pod() { podman --storage-driver vfs --root "$work/podman" --runroot "$work/podman-run" "$@"; }
	pod load -q -i "$work/docker.tar" >/dev/null
	is "podman loads what save wrote" "sha256:$(pod images -q --no-trunc example.test/app:1 | sed 's/^sha256://')" "$iid"
	pod save -q --format docker-archive -o "$work/podman.tar" example.test/app:1
	loaded "$work/podman.tar" "Loaded image: example.test/app:1"
	pod save -q --format oci-archive -o "$work/podman-oci.tar" example.test/app:1
	# Its config becomes another one on that way.
	want=sha256:$(skopeo_ inspect --config --raw "oci-archive:$work/podman-oci.tar" | sha256sum | cut -d' ' -f1)
	loaded "$work/podman-oci.tar" "Loaded image"
	want=
else
	say "podman cannot work here: not compared"
fi
if command -v umoci >/dev/null; then
	say "umoci"
	umoci config --image "$work/layout:latest" --tag changed --config.label added=1
	cb load "$work/layout"
	has "what umoci made" "$out" "Loaded image: docker.io/library/app:changed"
	has "with what it added" "$("$CBUILD" inspect app:changed)" '"added": "1"'
fi
# A daemon of our own, where this host lets one run.
dockerd_start() {
	is_root && command -v dockerd >/dev/null && command -v docker >/dev/null || return 1
	export DOCKER_HOST=unix://$work/docker.sock
	dockerd --data-root "$work/dockerd" --exec-root "$work/dockerd-run" --pidfile "$work/dockerd.pid" --host "$DOCKER_HOST" \
		--storage-driver vfs --bridge none --iptables=false >"$work/dockerd.log" 2>&1 &
	dockerd_pid=$!
	for _ in $(seq 150); do
		! docker version >/dev/null 2>&1 || return 0
		kill -0 $dockerd_pid 2>/dev/null || return 1
		sleep 0.2
	done
	kill $dockerd_pid
	return 1
}
if dockerd_start; then
	say "docker"
	docker load -q -i "$work/docker.tar" >/dev/null
	is "docker loads what save wrote" "$(docker images -q --no-trunc example.test/app:1)" "$iid"
	docker save -o "$work/from-docker.tar" example.test/app:1
	loaded "$work/from-docker.tar" "Loaded image: example.test/app:1"
	kill $dockerd_pid
	wait $dockerd_pid 2>/dev/null || true
else
	say "no docker daemon can run here: not compared"
fi

say "hostile archives"
status 1 "$CBUILD" load "$work/manifest"
head -c 100000 "$work/docker.tar" >"$work/short.tar"
status 1 "$CBUILD" load "$work/short.tar"
tar -C "$context" -cf "$work/rootfs.tar" small
status 1 "$CBUILD" load "$work/rootfs.tar"
has "what it is not" "$out" "neither a docker archive nor an OCI layout"
mkdir -p "$work/evil/blobs/sha256"
cp "$work/layout/index.json" "$work/layout/oci-layout" "$work/evil/"
for blob in "$work/layout/blobs/sha256/"*; do
	echo evil >"$work/evil/blobs/sha256/$(basename "$blob")"
done
tar -C "$work/evil" -cf "$work/evil.tar" .
status 1 "$CBUILD" load "$work/evil.tar"
has "wrong digest" "$out" "has digest"
# A link that leads out, a layer that is not the one of the config.
mkdir "$work/docker-evil"
printf '[{"Config":"c.json","RepoTags":["x:1"],"Layers":["../../../../etc/passwd"]}]' >"$work/docker-evil/manifest.json"
"$CBUILD" inspect --raw config app >"$work/docker-evil/c.json"
tar -C "$work/docker-evil" -cf "$work/evil2.tar" .
status 1 "$CBUILD" load "$work/evil2.tar"
has "layers are counted" "$out" "diff IDs"
cb fsck
has "the store is sound" "$out" "no problem"

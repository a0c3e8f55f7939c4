# users: any
# A real Debian base from a real registry; apt inside; the image read by skopeo, podman and umoci; equal to buildah's.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need skopeo umoci podman buildah
push_debian

context debian <<END
FROM $registry/debian:latest
RUN apt-get update && apt-get install -y --no-install-recommends hello && hello
ENV LANG=C.UTF-8
WORKDIR /app
COPY note.txt .
CMD ["hello"]
END
echo note >"$context/note.txt"

say "build"
cb build -t local/hello -o type=image -o "type=oci,dest=$work/out.tar" -o "type=docker,dest=$work/docker.tar" "$context"
has "hello ran" "$out" "Hello, world!"

say "skopeo"
status 0 skopeo_ inspect "oci-archive:$work/out.tar"
has "skopeo reads it" "$out" '"Os": "linux"'
status 0 skopeo_ copy -q "oci-archive:$work/out.tar" "oci:$work/layout:out"

say "umoci"
if is_root; then rootless=; else rootless=--rootless; fi
# shellcheck disable=SC2086 # an empty word must vanish
status 0 umoci unpack $rootless --image "$work/layout:out" "$work/bundle"
is "umoci unpacked it" "$(cat "$work/bundle/rootfs/app/note.txt")" note
[ -x "$work/bundle/rootfs/usr/bin/hello" ] || fail "hello is not in the unpacked image"

say "podman"
storage="--root $work/podman --runroot $work/podman-run --storage-driver vfs"
# shellcheck disable=SC2086
status 0 podman $storage load -i "$work/docker.tar"
has "podman loads the docker archive" "$out" "Loaded image"
# shellcheck disable=SC2086
status 0 podman $storage load -i "$work/out.tar"
has "podman loads the OCI archive" "$out" "Loaded image"

say "run it"
cb run local/hello
has "cbuild run" "$out" "Hello, world!"

say "compare with buildah"
storage="--root $work/buildah --runroot $work/buildah-run --storage-driver vfs"
isolation=oci
is_root || isolation=rootless
if ! timeout --kill-after=10 600 buildah $storage bud --isolation $isolation --runtime runc --network host \
	--tls-verify=false --format oci --layers -f "$context/Buildfile" -t peer "$context" >"$work/buildah.log" 2>&1; then
	say "buildah cannot build here, so nothing to compare: $(tail -n 1 "$work/buildah.log")"
	is_root && fail "buildah must work as root"
	exit 0
fi
# shellcheck disable=SC2086
status 0 buildah $storage push --format oci peer "oci-archive:$work/peer.tar"
# buildah marks what it made; apt and ldconfig write some files anew on each run, with times in it.
status 0 python3 "$here/image_diff.py" diff "$work/out.tar" "$work/peer.tar" --ignore 'var/log/*' --ignore 'var/cache/ldconfig/*' \
	--ignore 'var/cache/apt/*' --ignore 'var/lib/apt/lists/*' --ignore 'var/lib/dpkg/*-old' --ignore 'run' --ignore 'run/*'
has "no difference" "$out" "0 differences"

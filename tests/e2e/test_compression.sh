# Outputs of one build that are compressed differently: the same image, other blobs.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need jq skopeo zstd python3
context compression <<'END'
FROM base
COPY numbers /numbers
RUN ["/bin/busybox", "cp", "/numbers", "/again"]
END
busybox_tar
python3 "$here/image_from_tar.py" "$work/busybox.tar" '{"Cmd":["/bin/sh"]}' "$work/base.tar"
skopeo_ copy -q "docker-archive:$work/base.tar" "oci:$work/base"
seq 300000 >"$context/numbers"
build() { status 0 "$CBUILD" build --build-context "base=oci-layout://$work/base" "$@" "$context"; }
types() { skopeo_ inspect --raw "oci-archive:$1" | jq -r '[.layers[].mediaType | sub(".*\\+"; "") | sub(".*v1.tar"; "tar")] | join(" ")'; }
sizes() { skopeo_ inspect --raw "oci-archive:$1" | jq -r "[.layers[$2:][].size] | add"; }

say "gzip, zstd and none at a time"
build -q -t all:1 -o type=image -o "type=oci,dest=$work/zstd.tar,compression=zstd" -o "type=oci,dest=$work/none.tar,compression=uncompressed" \
	-o "type=oci,dest=$work/nine.tar,compression-level=9" -o "type=docker,dest=$work/docker.tar,compression=zstd" \
	-o "type=oci,dest=$work/forced.tar,compression=zstd,force-compression=true"
is "zstd, but for the base" "$(types "$work/zstd.tar")" "gzip zstd zstd"
is "none, but for the base" "$(types "$work/none.tar")" "gzip tar tar"
is "level 9" "$(types "$work/nine.tar")" "gzip gzip gzip"
is "forced" "$(types "$work/forced.tar")" "zstd zstd zstd"
"$CBUILD" inspect --raw config all:1 >"$work/config"
for file in zstd none nine forced; do
	is "the configuration of $file" "$(skopeo_ inspect --config --raw "oci-archive:$work/$file.tar" | sha256sum)" "$(sha256sum <"$work/config")"
	is "the files of $file" "$(python3 "$here/image_diff.py" diff "$work/none.tar" "$work/$file.tar")" "0 differences"
	# Every blob is what its descriptor says: skopeo checks digests and diff IDs on the way.
	skopeo_ copy -q "oci-archive:$work/$file.tar" "dir:$work/dir-$file"
	status 0 "$CBUILD" load --root "$work/load-$file" "$work/$file.tar"
	status 0 "$CBUILD" fsck --root "$work/load-$file"
done
status 0 "$CBUILD" load --root "$work/load-docker" "$work/docker.tar"
default=$("$CBUILD" inspect --raw manifest all:1 | jq '[.layers[1:][].size] | add')
[ "$(sizes "$work/nine.tar" 1)" -lt "$default" ] || fail "level 9 is not smaller: $(sizes "$work/nine.tar" 1), $default"
[ "$(sizes "$work/none.tar" 1)" -gt "$default" ] || fail "uncompressed is not larger"

say "in another order, later: the same bytes"
cp "$work/zstd.tar" "$work/before.tar"
build -q -o "type=oci,dest=$work/zstd.tar,compression=zstd" -t all:2 -o type=image
is "manifest" "$(skopeo_ inspect --raw "oci-archive:$work/zstd.tar" | sha256sum)" "$(skopeo_ inspect --raw "oci-archive:$work/before.tar" | sha256sum)"
is "and that of the first output's" "$("$CBUILD" inspect --raw manifest all:2 | sha256sum)" "$("$CBUILD" inspect --raw manifest all:1 | sha256sum)"
cb fsck

say "what is refused"
status 2 "$CBUILD" build -o "type=oci,dest=$work/x.tar,compression=estargz" "$context"
has "and why" "$out" "layers are not compressed as estargz"
status 2 "$CBUILD" build -o "type=oci,dest=$work/x.tar,force-compression=perhaps" "$context"
status 2 "$CBUILD" build -o "type=tar,dest=$work/x.tar,force-compression=true" "$context"

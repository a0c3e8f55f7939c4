# users: any single
# Every output, and what reads it.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need skopeo umoci jq

context outputs <<'END'
FROM scratch
COPY tree /
LABEL x=y
CMD ["/bin/app"]
END
mkdir -p "$context/tree/bin" "$context/tree/empty"
echo app >"$context/tree/bin/app" && chmod 4755 "$context/tree/bin/app" && ln -s app "$context/tree/bin/link"

say "several at once, with the image ID and metadata"
cb build -t example.test/app:1 -t example.test/app:2 --iidfile "$work/iid" --metadata-file "$work/meta.json" \
	-o type=image -o "type=oci,dest=$work/oci.tar" -o "type=oci,tar=false,dest=$work/oci" -o "type=docker,dest=$work/docker.tar" \
	-o "type=local,dest=$work/local" -o "type=tar,dest=$work/tar.tar" "$context"
iid=$(cat "$work/iid")
is "image ID is the config's digest" "$iid" "$(jq -r '."containerimage.config.digest"' "$work/meta.json")"
is "manifest digest" "$(jq -r '."containerimage.descriptor".digest' "$work/meta.json")" "$(jq -r '."containerimage.digest"' "$work/meta.json")"

say "OCI layouts"
for image in "oci-archive:$work/oci.tar:1" "oci:$work/oci:2" "oci:$CBUILD_ROOT:example.test/app:1"; do
	skopeo_ inspect --config --raw "$image" >"$work/config"
	is "$image has the config" "sha256:$(sha256sum <"$work/config" | cut -d' ' -f1)" "$iid"
done
status 0 python3 "$here/image_diff.py" diff "$work/oci.tar" "$work/oci"
status 0 python3 "$here/image_diff.py" diff "$work/oci.tar" "$work/docker.tar"
status 0 skopeo_ copy -q "docker-archive:$work/docker.tar:example.test/app:1" "oci:$work/layout:app"
if is_root; then rootless=; else rootless=--rootless; fi
# shellcheck disable=SC2086
status 0 umoci unpack $rootless --image "$work/layout:app" "$work/bundle"
is "umoci: content" "$(cat "$work/bundle/rootfs/bin/app")" app

say "files"
is "local: content" "$(cat "$work/local/bin/app")" app
is "local: link" "$(readlink "$work/local/bin/link")" app
is "tar: set-user-ID kept" "$(tar -tvf "$work/tar.tar" | awk '$6 == "bin/app" { print $1 }')" -rwsr-xr-x
is "tar: owners" "$(tar --numeric-owner -tvf "$work/tar.tar" | awk '{ print $2 }' | sort -u)" 0/0
is "tar: entries" "$(tar -tf "$work/tar.tar" | sort | tr '\n' ' ')" "bin/ bin/app bin/link empty/ "

say "to standard output"
"$CBUILD" build -q -o - "$context" 2>/dev/null >"$work/quiet.tar"
has "-o - gives a tar" "$(tar -tf "$work/quiet.tar")" bin/app
is "and nothing but the tar" "$(tail -c 64 "$work/quiet.tar" | tr -d '\000')" ""
"$CBUILD" build -o type=oci,dest=- "$context" 2>/dev/null >"$work/stdout.tar"
status 0 python3 "$here/image_diff.py" diff "$work/oci.tar" "$work/stdout.tar"
is "quiet prints the image ID" "$("$CBUILD" build -q -t example.test/app:1 "$context" 2>/dev/null)" "$iid"

say "compression"
cb build -o "type=oci,dest=$work/zstd.tar,compression=zstd" "$context"
status 0 python3 "$here/image_diff.py" diff "$work/oci.tar" "$work/zstd.tar"
cb build -o "type=oci,dest=$work/plain.tar,compression=uncompressed" "$context"
status 0 python3 "$here/image_diff.py" diff "$work/oci.tar" "$work/plain.tar"
has "zstd media type" "$(tar -xOf "$work/zstd.tar" --wildcards 'blobs/*' | strings | grep -o 'layer.v1.tar+zstd' | head -n 1)" tar+zstd

say "an existing file is replaced whole or not at all"
echo old >"$work/keep.tar"
context broken <<'END'
FROM scratch
COPY missing /
END
status 1 "$CBUILD" build -o "type=oci,dest=$work/keep.tar" "$context"
is "old file kept after a failure" "$(cat "$work/keep.tar")" old

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

say "annotations"
context=$work/context-outputs
cb build -t example.test/app:1 --annotation a.b=1 --annotation "manifest-descriptor:c.d=x=y" --annotation "manifest[linux/s390x]:e=f" \
	-o type=image -o "type=oci,tar=false,dest=$work/annotated" "$context"
digest=$(jq -r '.manifests[0].digest' "$work/annotated/index.json")
is "of the manifest" "$(jq -c .annotations "$work/annotated/blobs/sha256/${digest#sha256:}")" '{"a.b":"1"}'
is "of its descriptor" "$(jq -r '.manifests[0].annotations["c.d"]' "$work/annotated/index.json")" "x=y"
is "skopeo reads them" "$(skopeo_ inspect --raw "oci:$CBUILD_ROOT:example.test/app:1" | jq -r '.annotations["a.b"]')" 1
status 2 "$CBUILD" build --annotation index:a=b "$context"
has "no index" "$out" "an image of one platform has no index"
status 2 "$CBUILD" build --annotation nothing "$context"

say "for scripts and CI systems"
mkdir "$work/tekton"
export GITHUB_OUTPUT=$work/github
echo before=1 >"$GITHUB_OUTPUT"
cb build -t example.test/app:1 -t example.test/app:2 --digest-file "$work/digest" --output-env "$work/env" --ci-output github \
	--ci-output "tekton=$work/tekton" "$context"
digest=$(skopeo_ inspect --raw "oci:$CBUILD_ROOT:example.test/app:1" | sha256sum | cut -d' ' -f1)
is "--digest-file" "$(cat "$work/digest")" "sha256:$digest"
# shellcheck disable=SC1090,SC1091
is "--output-env" "$(. "$work/env" && echo "$IMAGE_ID $IMAGE_REF $IMAGE_NAMES")" \
	"$iid example.test/app:1@sha256:$digest example.test/app:1,example.test/app:2"
is "github" "$(grep -c -e ^before=1 -e "^digest=sha256:$digest" -e "^imageid=$iid" "$GITHUB_OUTPUT")" 3
is "github: metadata" "$(sed -n '/^metadata<</,/^cbuild-metadata$/p' "$GITHUB_OUTPUT" | sed '1d;$d' | jq -r '."containerimage.digest"')" "sha256:$digest"
is "tekton" "$(cat "$work/tekton/IMAGE_DIGEST") $(cat "$work/tekton/IMAGE_URL")" "sha256:$digest example.test/app:1"
status 2 "$CBUILD" build --digest-file "$work/digest" "$context"
has "nothing to tell of" "$out" "this build makes no image"
unset GITHUB_OUTPUT
status 2 "$CBUILD" build -t x --ci-output github "$context"
has "not on github" "$out" "GITHUB_OUTPUT is not set"

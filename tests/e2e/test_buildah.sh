# users: any
# Images between cbuild, buildah and podman, both ways, over a registry and in archives: what is only carried keeps its
# bytes, and each builds on and runs what another made.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need jq skopeo buildah podman
store=(--root "$work/containers" --runroot "$work/containers-run" --storage-driver vfs)
bud() { buildah "${store[@]}" "$@"; }
pod() { podman "${store[@]}" "$@"; }
# Outside of root's world they need a user namespace for some of this; where they have none there is nothing to compare with.
bud info >/dev/null 2>&1 || skip "buildah does not work here: $(bud info 2>&1 | tail -n 1)"
sha() { sha256sum | cut -d' ' -f1; }
raw() { skopeo_ inspect --raw --tls-verify=false "docker://$1"; }
registry_start
push_busybox
insecure=(--insecure-registry "$registry")
context mixed <<END
FROM $registry/busybox
COPY file /made/file
RUN ln /made/file /made/link && ln -s file /made/sym && chmod 4711 /made/file && chown 5:6 /made/file && rm /bin/awk
ENV WHO=cbuild
WORKDIR /made
CMD ["cat", "/made/sym"]
END
echo content >"$context/file"
status 0 "$CBUILD" build -q "${insecure[@]}" -o "type=image,name=$registry/ours:1,push=true" -o "type=image,name=$registry/docker:1,push=true,oci-mediatypes=false" \
	-o "type=image,name=$registry/zstd:1,push=true,compression=zstd" -o "type=oci,dest=$work/ours.tar" -o "type=docker,dest=$work/ours-docker.tar" "$context"
iid=$(raw "$registry/ours:1" | jq -r .config.digest)

say "buildah: from, run and push of what cbuild made"
# runs_theirs NAME: a container of $registry/NAME:1 in buildah, which is gone afterwards.
runs_theirs() {
	local name=$1 container ran
	container=$(bud from --tls-verify=false "$registry/$name:1" 2>"$work/.err") || fail "buildah from $name: $(cat "$work/.err")"
	if ran=$(bud run --isolation chroot "$container" -- cat /made/link 2>"$work/.err"); then
		is "buildah runs $name" "$ran" content
	else
		say "buildah cannot run here: $(tail -n 1 "$work/.err")"
	fi
	is "its configuration of $name" "$(bud inspect "$container" | jq -c '[.OCIv1.config.WorkingDir, .OCIv1.config.Cmd, (.OCIv1.config.Env | index("WHO=cbuild") != null)]')" \
		'["/made",["cat","/made/sym"],true]'
	bud rm "$container" >/dev/null
}
for name in ours docker; do
	runs_theirs $name
	status 0 buildah "${store[@]}" push -q --tls-verify=false "$registry/$name:1" "docker://$registry/carried/$name:1"
	# Its storage has one manifest for an image, whichever came first.
	bud rmi -f "$registry/$name:1" >/dev/null
done
# Its storage keeps layers unpacked, so the manifest is written anew: the same document, perhaps with other white space.
document() { raw "$1" | jq -Sc .; }
is "an image that buildah carried" "$(document "$registry/carried/ours:1")" "$(document "$registry/ours:1")"
is "in docker's form" "$(document "$registry/carried/docker:1")" "$(document "$registry/docker:1")"
is "the same image in all forms" "$(raw "$registry/docker:1" | jq -r .config.digest) $(raw "$registry/zstd:1" | jq -r .config.digest)" "$iid $iid"

say "archives into podman and back"
for archive in ours ours-docker; do
	status 0 podman "${store[@]}" load -q -i "$work/$archive.tar"
	loaded=$(sed -n 's/^Loaded image.*: //p' <<<"$out" | tail -n 1)
	is "podman's id of $archive" "sha256:$(pod image inspect --format '{{.Id}}' "$loaded")" "$iid"
	pod save -q --format docker-archive -o "$work/back.tar" "$loaded"
	status 0 "$CBUILD" diff -q --exit-code "docker-archive:$work/back.tar" "$registry/ours:1" "${insecure[@]}"
	rm "$work/back.tar"
	pod save -q --format oci-archive -o "$work/back.tar" "$loaded"
	status 0 "$CBUILD" diff -q --exit-code "oci-archive:$work/back.tar" "$registry/ours:1" "${insecure[@]}"
	rm "$work/back.tar"
done

say "what buildah made"
cat >"$work/theirs" <<END
FROM $registry/ours:1
COPY file /theirs/file
ENV WHO=buildah
LABEL made.by=buildah
END
for format in oci docker; do
	status 0 buildah "${store[@]}" bud -q --tls-verify=false --layers --format $format -t theirs -f "$work/theirs" "$context"
	status 0 buildah "${store[@]}" push -q --tls-verify=false --format $format theirs "docker://$registry/theirs:$format"
	cb pull -q "${insecure[@]}" "$registry/theirs:$format"
	is "pulled as it is" "$("$CBUILD" inspect --raw manifest "$registry/theirs:$format" | sha)" "$(raw "$registry/theirs:$format" | sha)"
	is "inspected" "$("$CBUILD" inspect "$registry/theirs:$format" | jq -c '.[0].Config | [.Labels["made.by"], .WorkingDir]')" '["buildah","/made"]'
	cb run "$registry/theirs:$format"
	is "runs" "$out" content
	cb push -q "${insecure[@]}" "$registry/theirs:$format" "$registry/again:$format"
	is "pushed as it was" "$(raw "$registry/again:$format" | sha)" "$(raw "$registry/theirs:$format" | sha)"
	bud push -q theirs "$format-archive:$work/theirs-$format.tar" 2>/dev/null
	status 0 "$CBUILD" load "$work/theirs-$format.tar"
	status 0 "$CBUILD" diff -q --exit-code "$format-archive:$work/theirs-$format.tar" "$registry/theirs:$format" "${insecure[@]}"
	context "on-$format" <<-END
		FROM $registry/theirs:$format
		RUN cat /theirs/file /made/link > /both && test "\$WHO" = buildah
	END
	status 0 "$CBUILD" build -q "${insecure[@]}" -t "on-$format" -o type=image -o "type=oci,dest=$work/on-$format.tar" "$context"
	cb run "on-$format" cat /both
	is "built on it" "$out" $'content\ncontent'
	context mixed-again <<<"FROM scratch"
	echo content >"$context/file"
done
is "both forms are the same files" "$(python3 "$here/image_diff.py" diff "$work/on-oci.tar" "$work/on-docker.tar")" "0 differences"

# Last: from here on buildah would send these layers, which docker's manifests cannot have.
say "zstd"
runs_theirs zstd
cb fsck

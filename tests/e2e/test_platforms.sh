# users: any
# Several platforms in one build: what they share, the index in every output, base images by platform, foreign programs.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need jq skopeo python3 docker-registry curl tar
export TMPDIR=$work
native=$(uname -m)
[ "$native" = x86_64 ] || skip "written for amd64, this is $native"
push_busybox
base=$registry/busybox:latest
both=linux/amd64,linux/arm64

context shared <<EOF2
FROM --platform=\$BUILDPLATFORM $base AS tool
RUN echo once >>/log; echo tool >/tool
FROM --platform=\$BUILDPLATFORM tool AS cross
ARG TARGETPLATFORM TARGETARCH TARGETVARIANT
ARG BUILDPLATFORM
RUN echo "\$BUILDPLATFORM to \$TARGETPLATFORM" >/result; echo \$TARGETARCH\$TARGETVARIANT >/arch
FROM scratch
ARG TARGETARCH
COPY --from=cross /result /arch /log /
COPY file-\$TARGETARCH /file
LABEL arch=\$TARGETARCH
EOF2
for arch in amd64 arm64 arm; do echo "for $arch" >"$context/file-$arch"; done

say "one build for three platforms; a step for the build's own platform runs once"
cb --platform "$both,linux/arm/v7,linux/aarch64" -t app:1 --progress plain --metadata-file "$work/meta" --iidfile "$work/iid" \
	--digest-file "$work/digest" --output-env "$work/env" -o type=oci,dest="$work/app.tar" -o type=image \
	--annotation index:who=all --annotation 'manifest[linux/arm64]:who=arm' --annotation index-descriptor:about=names "$context"
is "the shared step has one line" "$(grep -c 'RUN echo once' <<<"$out" | tr -d ' ')" 1
has "its name" "$out" "[linux/amd64 tool 2/2] RUN echo once"
has "a step for its own platform" "$out" "[linux/amd64 cross 1/1] RUN echo"
has "a step that knows its target" "$out" "[linux/amd64->arm64 cross 1/1] RUN echo"
has "with its variant" "$out" "[linux/amd64->arm/v7 cross 1/1] RUN echo"
has "a step of another platform" "$out" "[linux/arm64 stage-2 2/2] COPY file-arm64 /file"
has "the base is asked for once a platform" "$out" "[linux/amd64 internal] load metadata for"
hasnt "and no other" "$out" "[linux/arm64 internal] load metadata"
index=$(jq -r '."containerimage.digest"' "$work/meta")
is "iidfile" "$(cat "$work/iid")" "$index"
is "digest-file" "$(cat "$work/digest")" "$index"
has "output-env" "$(cat "$work/env")" "IMAGE_DIGEST=$index"
is "the descriptor is an index" "$(jq -r '."containerimage.descriptor".mediaType' "$work/meta")" application/vnd.oci.image.index.v1+json
is "no config stands for all" "$(jq -r '."containerimage.config.digest"' "$work/meta")" null

say "the archive, by skopeo"
raw=$(skopeo_ inspect --raw "oci-archive:$work/app.tar")
is "platforms" "$(jq -rc '[.manifests[].platform | [.os, .architecture, .variant]]' <<<"$raw")" \
	'[["linux","amd64",null],["linux","arm64",null],["linux","arm","v7"]]'
is "annotation of the index" "$(jq -r .annotations.who <<<"$raw")" all
is "index.json names an index" "$(tar xOf "$work/app.tar" index.json | jq -r '.manifests[0].mediaType')" application/vnd.oci.image.index.v1+json
is "annotation of its descriptor" "$(tar xOf "$work/app.tar" index.json | jq -r '.manifests[0].annotations.about')" names
for arch in amd64 arm64 arm; do
	status 0 skopeo --override-arch "$arch" --insecure-policy inspect --config "oci-archive:$work/app.tar"
	is "config of $arch" "$(jq -r '[.architecture, .config.Labels.arch] | join(" ")' <<<"$out")" "$arch $arch"
done
is "the variant" "$(jq -r .variant <<<"$out")" v7
manifest=$(jq -r '.manifests[1].digest' <<<"$raw")
is "annotation of one manifest" "$(tar xOf "$work/app.tar" "blobs/sha256/${manifest#sha256:}" | jq -r .annotations.who)" arm
status 0 skopeo_ copy --all "oci-archive:$work/app.tar" "oci:$work/copied:1"
is "all of it can be copied" "$(jq -r '.manifests[0].digest' "$work/copied/index.json")" "$index"

say "files, by platform"
cb --platform "$both,linux/arm" -o "$work/out" "$context"
is "directories" "$(cd "$work/out" && echo *)" "linux_amd64 linux_arm64 linux_arm_v7"
is "of the build's platform" "$(cat "$work/out/linux_amd64/result" "$work/out/linux_amd64/file")" "linux/amd64 to linux/amd64
for amd64"
is "of a variant" "$(cat "$work/out/linux_arm_v7/result" "$work/out/linux_arm_v7/arch" "$work/out/linux_arm_v7/file")" "linux/amd64 to linux/arm/v7
armv7
for arm"
is "it ran once" "$(cat "$work"/out/*/log | sort | uniq -c | tr -s ' ')" " 3 once"
cb --platform "$both" -o type=tar,dest="$work/out.tar" "$context"
is "in a tar" "$(tar xOf "$work/out.tar" linux_arm64/result)" "linux/amd64 to linux/arm64"
is "what is at its root" "$(tar tf "$work/out.tar" | cut -d/ -f1 | sort -u | tr '\n' ' ')" "linux_amd64 linux_arm64 "
cb --platform linux/arm64 -o "$work/alone" "$context"
is "one platform needs no directory" "$(cat "$work/alone/file")" "for arm64"

say "names: pushed, pulled, saved, listed, removed"
cb --platform "$both" -t "$registry/app:2" --push "$context"
is "registry" "$(skopeo_ inspect --tls-verify=false --raw "docker://$registry/app:2" | jq -rc '[.manifests[].platform.architecture]')" '["amd64","arm64"]'
status 0 skopeo_ copy --all --src-tls-verify=false "docker://$registry/app:2" "oci:$work/pulled:2"
if command -v buildah >/dev/null && is_root; then
	printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$registry" >"$work/registries.conf"
	status 0 buildah --registries-conf "$work/registries.conf" --storage-driver vfs --root "$work/bah" \
		--runroot "$work/bahrun" manifest inspect "$registry/app:2"
	is "buildah" "$(jq -rc '[.manifests[].platform.architecture]' <<<"$out")" '["amd64","arm64"]'
else
	say "SKIPPED: buildah manifest inspect (root, and buildah)"
fi
cb images --format json
is "platforms in the listing" "$(jq -rc '.[] | select(.name == "docker.io/library/app:1") | .platforms' <<<"$out")" '["linux/amd64","linux/arm64","linux/arm/v7"]'
cb inspect --platform linux/arm64 app:1
is "inspect" "$(jq -r '.[0].Architecture' <<<"$out")" arm64
cb history --platform linux/arm/v7 app:1
has "history" "$out" "LABEL arch=arm"
cb tag app:1 app:copy
cb save --platform linux/arm64 -o "$work/one.tar" app:1
is "one of them for docker" "$(oci_config "$work/one.tar" .architecture)" arm64
status 125 "$CBUILD" save -o "$work/no.tar" app:1
has "docker's archive holds one" "$out" "choose one with --platform, or --format oci"
cb rmi app:1
"$CBUILD" prune -a -f >/dev/null
cb fsck
cb save --format oci -o "$work/again.tar" app:copy
is "its other name keeps all of it" "$(skopeo_ inspect --raw "oci-archive:$work/again.tar" | sha256sum)" "$(printf %s "$raw" | sha256sum)"
context foreign <<'EOF2'
FROM scratch
ARG TARGETARCH
COPY Buildfile /$TARGETARCH
EOF2
cb --platform linux/arm64,linux/s390x -t foreign:1 "$context"
cb images
hasnt "none for this host is not damaged" "$out" damaged
status 1 "$CBUILD" inspect foreign:1
has "inspect without one that fits" "$out" "only linux/arm64, linux/s390x"
cb graph --platform "$both" --format json "$context"
is "graph" "$(jq -rc '.targets | keys' <<<"$out")" '["linux/amd64","linux/arm64"]'

say "remote caches have the steps of all platforms"
cd "$work/context-shared" || exit
cb --platform "$both" --root "$work/cold1" --cache-to type=local,dest="$work/cache",mode=max -o type=cacheonly .
cb --platform "$both" --root "$work/cold2" --cache-from type=local,src="$work/cache" --explain -o "$work/warm" .
is "what it made" "$(cat "$work/warm/linux_arm64/result")" "linux/amd64 to linux/arm64"
is "no step ran" "$(grep -E '^\[linux.*: ' <<<"$out" | grep -vc ': cached')" 0
has "explained by platform" "$out" "[linux/amd64->arm64 cross 1/1] RUN"
echo changed >file-arm64
# Steps that nobody waited for may not have come to the store with the first build: the cache has them.
cb --platform "$both" --root "$work/cold2" --cache-from type=local,src="$work/cache" --explain -o type=cacheonly .
has "the file of one platform" "$out" "file-arm64"
is "is a matter of that platform" "$(grep -E '^\[linux.*: ran' <<<"$out" | cut -d: -f1)" "[linux/arm64 stage-2 2/2] COPY file-arm64 /file"
cd "$work" || exit

say "base images are chosen by platform"
context base <<'EOF2'
FROM scratch
ARG TARGETPLATFORM
COPY Buildfile /base
LABEL made.for=$TARGETPLATFORM
EOF2
cb --platform linux/amd64,linux/arm64,linux/arm/v6 -t "$registry/multi:1" --push "$context"
context user <<EOF2
FROM $registry/multi:1
COPY Buildfile /user
EOF2
cb --platform linux/amd64,linux/arm64/v8,linux/arm/v7 -o type=oci,dest="$work/user.tar" "$context"
raw=$(skopeo_ inspect --raw "oci-archive:$work/user.tar")
label() {
	local digest
	digest=$(jq -r ".manifests[$1].digest" <<<"$raw")
	digest=$(tar xOf "$work/user.tar" "blobs/sha256/${digest#sha256:}" | jq -r .config.digest)
	tar xOf "$work/user.tar" "blobs/sha256/${digest#sha256:}" | jq -r '.config.Labels."made.for" + " " + .architecture + (.variant // "")'
}
is "amd64" "$(label 0)" "linux/amd64 amd64"
is "arm64/v8 is arm64" "$(label 1)" "linux/arm64 arm64"
is "arm/v7 takes arm/v6" "$(label 2)" "linux/arm/v6 armv6"
cb --platform linux/amd64/v3 -o "$work/v3" "$context"
status 1 "$CBUILD" --platform linux/amd64,linux/s390x "$context"
has "none fits" "$out" "no match for platform linux/s390x (there are: linux/amd64, linux/arm64, linux/arm/v6)"
has "and where" "$out" "Buildfile:1:6"
context mismatch <<EOF2
FROM $base
COPY Buildfile /x
EOF2
cb --platform "$both" -o type=cacheonly "$context"
has "an image of one platform is taken, and said" "$out" "InvalidBaseImagePlatform"

say "what cannot be"
status 2 "$CBUILD" --platform "$both" -o type=docker,dest="$work/x.tar" "$context"
has "docker archives" "$out" "output type docker holds an image of one platform, and there are 2"
status 2 "$CBUILD" --platform linux/amd46 -o type=cacheonly "$context"
has "a slip" "$out" 'did you mean "amd64"?'
status 2 "$CBUILD" --platform linus/amd64 -o type=cacheonly "$context"
has "another" "$out" 'unknown operating system "linus"'
status 2 "$CBUILD" --platform linux/amd64, -o type=cacheonly "$context"
status 2 "$CBUILD" --platform linux/amd64 --annotation index:a=b -o type=cacheonly "$context"
has "no index" "$out" "an image of one platform has no index"

say "foreign programs"
context arm <<'EOF2'
FROM scratch
COPY program /program
RUN ["/program"]
EOF2
python3 "$here/foreign_program.py" "$context/program" "made on arm"
chmod 755 "$context/program"
cb doctor --format json
how=$(jq -r '.platforms[] | select(.name == "linux/arm64") | .how' <<<"$out")
is "this processor's own" "$(jq -r '.platforms[] | select(.name == "linux/amd64") | .how' <<<"$out")" native
mkdir "$work/nothing"
for program in newuidmap newgidmap; do
	! command -v $program >/dev/null || ln -s "$(command -v $program)" "$work/nothing/"
done
if [ "$how" != host ]; then
	status 1 env PATH="$work/nothing" "$CBUILD" --platform linux/arm64 -o type=cacheonly "$context"
	has "without an emulator" "$out" "whose programs do not run here"
	has "and what to do" "$out" "qemu-aarch64-static"
fi
case $how in
none)
	say "SKIPPED: no emulator and no way to register one: $(jq -r '.platforms[] | select(.name == "linux/arm64") | .detail' <<<"$out")"
	;;
*)
	say "  by: $how"
	cb --platform linux/arm64 -o "$work/arm" --progress plain "$context"
	has "its output" "$out" "made on arm"
	is "its file" "$(cat "$work/arm/made")" "made on arm"
	;;
esac
if [ "$how" = own ]; then
	is "nothing is left for the host" "$(find /proc/sys/fs/binfmt_misc -name 'cbuild-*')" ""
	status 1 env CBUILD_EMULATORS="$work/nothing" PATH="$work/nothing" "$CBUILD" --no-cache --platform linux/arm64 -o type=cacheonly "$context"
	emulator=$(command -v qemu-aarch64-static)
	cb --platform linux/arm64 -t arm:1 "$context"
	status 0 env CBUILD_EMULATORS="$(dirname "$emulator")" PATH="$work/nothing" "$CBUILD" run --platform linux/arm64 arm:1 /program
	has "cbuild run" "$out" "made on arm"
fi

# users: any single
# What the store holds and gives back: du, prune, policy, quota, fsck.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need jq
export CBUILD_MIN_FREE=none

# Files of other ids are looked at from where cbuild looks.
inside() {
	if is_root; then "$@"; else podman unshare "$@"; fi
}
if ! is_root && ! podman unshare true 2>/dev/null; then
	inside() { "$@"; }
fi
du_of() { "$CBUILD" du --format json "${@:2}" | jq -r "$1"; }

context life <<'END'
FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
FROM base AS mid
RUN --mount=type=cache,id=things,target=/cache dd if=/dev/zero of=/cache/data bs=64k count=16 2>/dev/null; ln -f /cache/data /cache/again
RUN dd if=/dev/zero of=/mid bs=64k count=8 2>/dev/null
FROM base
COPY --from=mid /mid /mid
CMD ["ls"]
END
cp /bin/busybox "$context/"

say "du"
cb build -q -t app:1 "$context"
cb du
has "a step" "$out" "[mid] RUN dd"
has "a cache mount" "$out" "things"
disk=$(inside du -s --block-size=1 "$CBUILD_ROOT"/snapshots/* "$CBUILD_ROOT"/blobs/sha256/* "$CBUILD_ROOT"/cachemounts/* | awk '{ n += $1 } END { print n }')
is "the total is what is on disk, hard links once" "$(du_of .total)" "$disk"
is "and the sum of the items" "$(du_of '[.items[].size] | add')" "$disk"
is "filters" "$(du_of '[.items[].type] | unique | join(" ")' --filter type=run --filter named=false)" run
is "not, and regular expressions" "$(du_of '.items | length' --filter 'description~=dd if' --filter type!=copy)" 2
cb du -v
has "verbose" "$out" "Description:  [mid] RUN"
status 2 "$CBUILD" du --filter colour=red
has "unknown filter" "$out" 'unknown filter "colour"'

say "prune"
cb prune --dry-run
has "dry run" "$out" "Would reclaim"
is "a dry run removes nothing" "$(du_of .total)" "$disk"
cb prune --filter type=cachemount
is "the cache mount is gone" "$(du_of '[.items[] | select(.type == "cachemount")] | length')" 0
cb prune --keep-duration 1h
is "what was used lately stays" "$(du_of '[.items[] | select(.reclaimable)] | length')" 2
cb prune
is "what no image needs is gone" "$(du_of .reclaimable)" 0
cb build -q -t app:1 "$context"
cb build --progress=plain "$context"
has "what the image has is still cached" "$out" "CACHED"
cb prune -a
is "without cached steps" "$(du_of '[.items[] | select(.type == "run" or .type == "copy")] | length')" 0
cb run app:1 ls /mid
is "the image is still whole" "$out" /mid
cb fsck
has "fsck" "$out" "no problem"

say "what a running build uses stays"
cat >"$context/Waiting" <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN --mount=type=cache,target=/cache touch /cache/here && while [ ! -e /cache/go ]; do sleep 0.1; done
RUN ls /bin/sh && touch /end
END
# The step waits in its cache mount until the file comes.
"$CBUILD" build --progress=plain -f "$context/Waiting" -t waited:1 "$context" >"$work/log" 2>&1 &
pid=$!
for _ in $(seq 300); do
	here_file=$(inside find "$CBUILD_ROOT/cachemounts" -name here 2>/dev/null)
	[ -z "$here_file" ] || break
	sleep 0.1
done
[ -n "$here_file" ] || fail "the step did not start: $(cat "$work/log")"
has "shown as in use" "$(du_of '[.items[] | select(.inUse) | .type] | unique | join(" ")')" "cachemount copy"
cb prune -a
inside touch "$(dirname "$here_file")/go"
wait $pid || fail "the build was disturbed: $(cat "$work/log")"
cb run waited:1 ls /end
is "and its image is right" "$out" /end

say "the end of a build"
status 0 env CBUILD_KEEP_STORAGE=100k "$CBUILD" build -q --build-arg X=1 -f "$context/Waiting" "$context"
cb build -q -t app:1 "$context"
CBUILD_KEEP_STORAGE=1k cb build -q --no-cache "$context"
CBUILD_KEEP_STORAGE=1k cb build -q --no-cache "$context"
rest=$(du_of '[.items[] | select(.type == "run" or .type == "copy")] | length')
[ "$rest" -le 8 ] || fail "$rest steps are left after a build that keeps 1k"
checks=$((checks + 1))
cb policy --keep-storage 30g --keep-duration 10d
has "policy" "$out" "keep-storage  32.2GB"
has "policy" "$out" "keep-duration 240h0m0s"
status 2 "$CBUILD" policy --quota lots
has "policy tells what is wrong" "$out" 'quota takes a size (20g), a part of the disk (50%) or none, not "lots"'

say "quota"
cb prune -a -q
is "nothing but images is left" "$(du_of '[.items[] | select(.named | not)] | length')" 0
cb policy --quota "$(($(du_of .total) + 100000))"
status 125 "$CBUILD" build --no-cache "$context"
has "the quota is told" "$out" "has a quota of"
has "with what to do" "$out" "cbuild policy --quota"
cb policy --quota none
cb build -q --no-cache "$context"

say "fsck"
cb build -q -t app:1 -t waited:1 "$context"
manifest=$(jq -r '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == "docker.io/library/app:1").digest' "$CBUILD_ROOT/index.json")
blob=$(jq -r '.layers[0].digest' "$CBUILD_ROOT/blobs/sha256/${manifest#sha256:}")
blob=${blob#sha256:}
chmod u+w "$CBUILD_ROOT/blobs/sha256/$blob"
echo x >>"$CBUILD_ROOT/blobs/sha256/$blob"
status 1 "$CBUILD" fsck
has "the damage is named" "$out" "problem: blob sha256:$blob has digest"
status 1 "$CBUILD" fsck --repair
has "the blob goes" "$out" "repaired: blob sha256:$blob"
cb build -q -t app:1 -t waited:1 "$context"
cb fsck
has "building again makes it whole" "$out" "no problem"
inside rm -f "$CBUILD_ROOT/db.sqlite-wal"
printf 'xxxxxxxxxxxxxxxx' | inside dd of="$CBUILD_ROOT/db.sqlite" conv=notrunc status=none
status 125 "$CBUILD" build -q "$context"
has "a damaged database is told" "$out" "database"
cb fsck --repair
has "and replaced" "$out" "the database was damaged"
cb run app:1 ls /mid
is "images stay" "$out" /mid
cb build -q "$context"
cb fsck
has "sound again" "$out" "no problem"

# users: any single
# Cache mounts that travel: machines (empty stores) that share each kind of cache, what is sent, what is found again.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need python3 jq
push_busybox

at_end() { kill "${servers[@]}"; }
machine() { export CBUILD_ROOT=$work/store-$1; }
# inside COMMAND...: where the files of the store can be read and removed
inside() { if is_root; then "$@"; else podman unshare "$@"; fi; }
if ! is_root && ! podman unshare true 2>/dev/null; then
	inside() { "$@"; }
fi
cb_mount() {
	status 0 "$CBUILD" cache-mount "$@" --progress none
	result=$out
}
bytes() { find "$1" -type f ! -path '*/_uploads/*' -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'; }

# What a compiler cache does: an object for each source by its content, its time of use, some counters.
context project <<END
FROM $registry/busybox
COPY cc /bin/cc
COPY src /src
ARG ATTEMPT
RUN --mount=type=cache,id=objects,target=/cache,uid=12,gid=34,mode=0750 \\
    --mount=type=cache,target=/var/index,sharing=locked cc
END
cat >"$context/cc" <<'END'
#!/bin/sh
hits=0 misses=0
mkdir -p /cache/stats
for source in /src/*; do
	key=$(sha256sum <"$source" | cut -c 1-40)
	object=/cache/$(echo "$key" | cut -c 1-2)/$key
	if [ -e "$object" ]; then
		hits=$((hits + 1))
		touch "$object"
	else
		misses=$((misses + 1))
		mkdir -p "${object%/*}"
		dd if=/dev/urandom of="$object" bs=1024 count=20 2>/dev/null
	fi
	echo "$source $hits $misses" >"/cache/stats/$(echo "$key" | cut -c 1)"
done
ln -sf /src /cache/source
[ -e /cache/twin ] || ln /cache/stats/a /cache/twin
chown -h 7:8 /cache/twin
chmod 2770 /cache/stats
echo "$ATTEMPT" >>/var/index/attempts
echo "hits=$hits misses=$misses twin=$(stat -c '%h %u:%g' /cache/twin) mount=$(stat -c '%u:%g %a' /cache) attempts=$(wc -l </var/index/attempts)"
END
chmod +x "$context/cc"
mkdir "$context/src"
for i in $(seq 80); do echo "int f$i;" >"$context/src/$i.c"; done
cp -R "$context" "$work/pristine"

# attempt N ARGUMENTS...: builds; what the step said in $said
attempt() {
	cb build --progress plain --build-arg "ATTEMPT=$1" "${@:2}" "$context"
	said=$(grep -o "hits=.*" <<<"$out" | tail -n 1) || true
}
# share NAME DIR TO FROM: what must hold of each kind of cache; DIR is where its bytes are
share() {
	local name=$1 dir=$2 to=$3 from=$4 all before sent
	rm -rf "$context" && cp -R "$work/pristine" "$context"
	mkdir -p "$dir"
	say "$name: a first machine gives"
	machine "$name-1"
	before=$(bytes "$dir")
	attempt 1 --cache-mount-to "$to"
	is "$name: nothing was there" "$said" "hits=0 misses=80 twin=2 7:8 mount=12:34 750 attempts=1"
	all=$(($(bytes "$dir") - before))
	[ "$all" -gt 1600000 ] || fail "$name: $all bytes arrived"

	say "$name: a second one takes"
	machine "$name-2"
	before=$(bytes "$dir")
	attempt 2 --cache-mount-from "$from" --cache-mount-to "$to"
	is "$name: all is there" "$said" "hits=80 misses=0 twin=2 7:8 mount=12:34 750 attempts=2"
	sent=$(($(bytes "$dir") - before))
	say "$name: $all bytes at first, $sent when every object was touched and the counters changed"
	[ "$sent" -lt $((all / 100)) ] || fail "$name: $sent of $all bytes were sent again"
	checks=$((checks + 1))

	say "$name: what has not changed is not sent"
	before=$(bytes "$dir")
	cb_mount export objects /var/index "$to" --format json
	is "$name: unchanged" "$(jq -c '[.unchanged, .sent]' <<<"$result" | sort -u)" '[true,0]'
	is "$name: no byte arrived" "$(bytes "$dir")" "$before"

	say "$name: a small change"
	machine "$name-3"
	for i in 7 8; do echo "int changed$i;" >"$context/src/$i.c"; done
	attempt 3 --cache-mount-from "$from" --cache-mount-to "$to"
	is "$name: the rest is there" "$said" "hits=78 misses=2 twin=2 7:8 mount=12:34 750 attempts=3"
	sent=$(($(bytes "$dir") - before))
	say "$name: $sent bytes for two new objects"
	[ "$sent" -lt $((all / 10)) ] || fail "$name: $sent of $all bytes were sent"
	checks=$((checks + 1))
	machine "$name-4"
	attempt 4 --cache-mount-from "$from"
	is "$name: all is there again" "$said" "hits=80 misses=0 twin=2 7:8 mount=12:34 750 attempts=4"
}

share local "$work/cachedir" "type=local,dest=$work/cachedir" "type=local,src=$work/cachedir"
# What the other kinds do is the same for every user.
if is_root; then
	cache_serve
	share http "$work/served-0" "type=http,url=http://127.0.0.1:$port/mounts" "type=http,url=http://127.0.0.1:$port/mounts/"
	say "a build that finds its steps asks for nothing"
	before=$(wc -l <"$log")
	attempt 4 --cache-mount-from "type=http,url=http://127.0.0.1:$port/mounts" --cache-mount-to "type=http,url=http://127.0.0.1:$port/mounts"
	is "no step ran" "$said" ""
	is "no request" "$(wc -l <"$log")" "$before"
	registry_start
	share registry "$work/registry" "type=registry,ref=$registry/mounts:ci" "$registry/mounts:ci"
	is "a plain image manifest for each" "$(curl -fs "http://$registry/v2/mounts/tags/list" | jq '.tags|length')" 2
	tag=$(curl -fs "http://$registry/v2/mounts/tags/list" | jq -r '.tags[0]')
	has "its tag" "$tag" "ci-"
	is "its layers" "$(curl -fs -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$registry/v2/mounts/manifests/$tag" | jq -r '[.layers[].mediaType]|unique|join(" ")')" \
		"application/vnd.cbuild.cachemount.index.v1 application/vnd.cbuild.cachemount.pack.v1+zstd"
	cache_serve s3
	export AWS_ACCESS_KEY_ID=AKIDTEST AWS_SECRET_ACCESS_KEY=sekret
	s3="type=s3,bucket=bucket,region=eu-test-1,endpoint_url=http://127.0.0.1:$port,prefix=a/"
	share s3 "$work/served-1" "$s3" "$s3"
	hasnt "all requests are signed" "$(cat "$log")" UNSIGNED
fi

rm -rf "$context" && cp -R "$work/pristine" "$context"
dir=$work/branches
from="type=local,src=$dir" to="type=local,dest=$dir"
say "branches"
machine main
attempt 1 --cache-mount-to "$to,branch=main"
before=$(bytes "$dir")
echo "int changed;" >"$context/src/7.c"
machine feature
attempt 2 --cache-mount-from "$from,branch=feature,fallback=release:main" --cache-mount-to "$to,branch=feature,fallback=main"
has "that of main" "$said" "hits=79 misses=1"
has "says so" "$out" "branch main"
[ $(($(bytes "$dir") - before)) -lt $((before / 10)) ] || fail "the branch sent all of it again"
machine feature-2
attempt 3 --cache-mount-from "$from,branch=feature,fallback=main"
has "its own" "$said" "hits=80 misses=0"
machine main-2
attempt 3 --cache-mount-from "$from,branch=main"
has "main has not changed" "$said" "hits=79 misses=1"
machine other
attempt 3 --cache-mount-from "$from,branch=other"
has "nobody else's" "$said" "hits=0 misses=80"
attempt 4 --cache-mount-from "$from,branch=main"
has "what is there stays" "$said" "hits=80 misses=0 twin=2 7:8 mount=12:34 750 attempts=2"
machine scope
attempt 3 --cache-mount-from "$from,branch=main,scope=other"
has "another scope" "$said" "hits=0 misses=80"
machine arch
status 1 "$CBUILD" cache-mount import objects "$from,branch=main" --uid 12 --gid 34 --mode 750 --platform linux/s390x --progress none
has "another platform" "$out" "has no cache mount"

say "some of them, and not too much"
machine some
attempt 1 --cache-mount-to "type=local,dest=$work/some,id=obj*,max-size=1m"
has "what is too much is not sent" "$out" "files were too much"
[ "$(bytes "$work/some")" -lt 1100000 ] || fail "more than max-size was sent"
machine some-2
attempt 2 --cache-mount-from "type=local,src=$work/some"
has "the other was not kept" "$said" "attempts=1"
hits=${said#hits=} && hits=${hits%% *}
[ "$hits" -ge 40 ] && [ "$hits" -le 52 ] || fail "$hits objects of 20 KiB in 1 MiB"
machine some-3
attempt 2 --cache-mount-from "type=local,src=$work/some,max-size=100k"
has "one that is too large is not taken" "$said" "hits=0"
has "and says so" "$out" "allowed"

say "a build that fails"
cat >"$context/Fail" <<END
FROM $registry/busybox
ARG ATTEMPT
RUN --mount=type=cache,id=kept,target=/kept echo "\$ATTEMPT" >>/kept/log; echo "entries=\$(wc -l </kept/log)"; false
END
machine fail
status 1 "$CBUILD" build --progress plain --cache-mount-to "$to,on=success" -f "$context/Fail" "$context"
status 1 "$CBUILD" cache-mount import kept "$from" --root "$work/store-fail-2" --progress none
status 1 "$CBUILD" build --progress plain --cache-mount-to "$to" -f "$context/Fail" "$context"
machine fail-2
status 1 "$CBUILD" build --progress plain --cache-mount-from "$from" -f "$context/Fail" "$context"
has "what it left is kept" "$out" "entries=3"

say "caches that fail are no failure"
cache_serve grumpy
machine grumpy
attempt 1 --cache-mount-from "type=http,url=http://127.0.0.1:$port" --cache-mount-to "type=http,url=http://127.0.0.1:$port"
has "the step ran" "$said" "hits=0 misses=80"
has "a warning" "$out" "it is left alone from now on"
attempt 2 --cache-mount-from type=http,url=http://127.0.0.1:1 --cache-mount-to "type=local,dest=/proc/no"
has "nobody is there" "$out" "WARNING"
if is_root; then
	AWS_SECRET_ACCESS_KEY=wrong attempt 3 --cache-mount-to "$s3"
	has "not allowed" "$out" "WARNING"
fi

say "what a cache says is checked"
for what in cas ac; do
	rm -rf "$work/poison" && cp -R "$dir" "$work/poison"
	for file in "$work/poison/$what"/*; do
		python3 -c 'import sys; f=open(sys.argv[1],"r+b"); d=f.read(20)[-1]; f.seek(19); f.write(bytes([d^1]))' "$file"
	done
	machine "poison-$what"
	attempt 1 --cache-mount-from "type=local,src=$work/poison,branch=main"
	has "$what: a warning" "$out" "WARNING"
	has "$what: it begins empty" "$said" "hits=0 misses=80"
done

say "the command"
machine main
cb_mount ls
has "a table" "$result" objects
cb_mount ls 'obj*' --format json
is "as JSON" "$(jq -c '[.id, .inUse, .locked, (.size > 1600000)]' <<<"$result")" '["objects",false,false,true]'
name=$(jq -r .name <<<"$result")
cb_mount export objects "$to,branch=cli"
machine cli
cb_mount import "$name" "$from,branch=cli" --format json
is "by its name" "$(jq -r .branch <<<"$result")" cli
status 1 "$CBUILD" cache-mount import objects "$from,branch=cli" --uid 12 --gid 34 --mode 750 --progress none
has "not into what is there" "$out" "not empty"
cb_mount import objects "$from,branch=main" --uid 12 --gid 34 --mode 750 --replace
attempt 1
has "by its id" "$said" "hits=79 misses=1"
is "no temporary files" "$(inside find "$CBUILD_ROOT/tmp" -mindepth 2 | wc -l)" 0
cb fsck
cb_mount rm objects
is "one left" "$("$CBUILD" cache-mount ls --format json | jq -r .id)" /var/index
status 1 "$CBUILD" cache-mount rm objects
has "it is gone" "$out" "there is no cache mount"
cb_mount rm --all
is "none left" "$("$CBUILD" cache-mount ls --format json)" ""
status 2 "$CBUILD" cache-mount rm
status 2 "$CBUILD" cache-mount
status 2 "$CBUILD" cache-mount lst
has "a hint" "$out" "did you mean cbuild cache-mount ls?"
status 2 "$CBUILD" cache-mount export objects
for bad in type=gha type=local "type=local,dest=x,mode=max" "type=local,dest=x,max-size=much" "type=local,dest=x,on=never" ""; do
	status 2 "$CBUILD" build --cache-mount-to "$bad" "$context"
done

say "one that a step has to itself is waited for"
machine locked
cat >"$context/Slow" <<END
FROM $registry/busybox
RUN --mount=type=cache,id=slow,target=/slow,sharing=locked echo half >/slow/a && touch /slow/begun && sleep 3 && echo whole >/slow/a
END
"$CBUILD" build --progress none -f "$context/Slow" "$context" &
building=$!
for _ in $(seq 100); do
	[ -z "$(inside find "$CBUILD_ROOT/cachemounts" -name begun 2>/dev/null)" ] || break
	sleep 0.1
done
is "it is shown as locked" "$("$CBUILD" cache-mount ls --format json | jq -c '[.inUse, .locked]')" "[true,true]"
status 1 "$CBUILD" cache-mount rm slow
cb_mount export slow "type=local,dest=$work/slow"
wait "$building"
machine locked-2
cb_mount import slow "type=local,src=$work/slow"
is "it was read when the step was over" "$(inside find "$CBUILD_ROOT/cachemounts" -name a -exec cat {} +)" whole

# users: any
# Remote caches: two machines (two empty stores) share each kind; what is downloaded, what runs, what is said.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need python3
push_busybox

context shared <<END
FROM $registry/busybox AS build
WORKDIR /src
COPY lib /src/lib
RUN cat lib/* > /lib.o && dd if=/dev/urandom of=/big bs=1024 count=3000 2>/dev/null
COPY app /src/app
RUN cat app/* /lib.o > /app.o
FROM $registry/busybox
RUN mkdir /etc/app
COPY --from=build /app.o /app
RUN wc -l < /app > /lines
END
mkdir "$context/lib" "$context/app"
echo lib >"$context/lib/l" && echo 1 >"$context/app/a" && echo 2 >"$context/app/b"
cp -R "$context" "$work/pristine"
joining=()
at_end() { kill "${servers[@]}"; }

# machine NAME: an empty store
machine() {
	export CBUILD_ROOT=$work/store-$1
}
# statuses ARGUMENTS...: builds; the status of each step in $steps
statuses() {
	cb build --progress none --explain=json "$@" "$context"
	account=$(tail -n 1 <<<"$out")
	steps=$(jq -r '[.steps[].status]|join(" ")' <<<"$account")
}
# store_files: how many layers and blobs there are
store_files() { find "$CBUILD_ROOT/snapshots" "$CBUILD_ROOT/blobs/sha256" -mindepth 1 -maxdepth 1 -size +1k -o -path '*/snapshots/*' -prune | wc -l; }

# share NAME TO FROM: what must hold of each kind of cache
share() {
	local name=$1 to=$2 from=$3
	say "$name: a first machine gives"
	rm -rf "$context" && cp -R "$work/pristine" "$context"
	machine "$name-1"
	statuses --cache-to "$to,mode=max"
	is "$name: all ran" "$steps" "ran ran ran ran ran ran ran ran"
	cb build --progress none -o "type=oci,dest=$work/1.tar" "$context"

	say "$name: a second one takes"
	machine "$name-2"
	statuses --cache-from "$from"
	is "$name: nothing runs" "$steps" "cached cached cached cached cached cached cached cached"
	is "$name: no layer came" "$(find "$CBUILD_ROOT/snapshots" -mindepth 1 -maxdepth 1 | wc -l)" 0
	cb build --progress none --cache-from "$from" -o "type=oci,dest=$work/2.tar" "$context"
	is "$name: nothing is unpacked for an image" "$(find "$CBUILD_ROOT/snapshots" -mindepth 1 -maxdepth 1 | wc -l)" 0
	is "$name: the big layer of the other stage stayed where it is" "$(find "$CBUILD_ROOT/blobs" -size +2000k | wc -l)" 0
	is "$name: the same image" "$(oci_config "$work/2.tar" .rootfs)" "$(oci_config "$work/1.tar" .rootfs)"
	is "$name: the same file" "$(oci_file "$work/2.tar" /lines)" "$(oci_file "$work/1.tar" /lines)"

	say "$name: one file changed on a third"
	machine "$name-3"
	echo changed >>"$context/app/b"
	statuses --cache-from "$from" -o "$work/out-$name"
	is "$name: what depends on it ran" "$steps" "cached cached cached ran ran cached ran ran"
	is "$name: why" "$(jq -c '[.steps[]|select(.status=="ran")][0].why|map([.name,.aspect])' <<<"$account")" '[["app/b","content"]]'
	is "$name: the result" "$(cat "$work/out-$name/lines")" 4
	statuses
	is "$name: it is in the store now" "$steps" "cached cached cached cached cached cached cached cached"
}

# lost NAME FROM: the records of that cache promise layers that it does not give
lost() {
	local name=$1 from=$2
	say "$name: layers that are gone when they are needed"
	rm -rf "$context" && cp -R "$work/pristine" "$context"
	machine "$name-lost-1"
	cb build --progress plain --cache-from "$from" -o "$work/lost-$name" "$context"
	has "$name: a warning" "$out" "the steps that made it run instead"
	is "$name: files" "$(cat "$work/lost-$name/lines")" 3
	machine "$name-lost-2"
	cb build --progress plain --cache-from "$from" -o "type=oci,dest=$work/lost.tar" "$context"
	has "$name: a warning" "$out" "the steps that made it run instead"
	is "$name: an image" "$(oci_file "$work/lost.tar" /lines)" 3
	machine "$name-lost-3"
	echo changed >>"$context/app/b"
	statuses --cache-from "$from" -o "$work/lost-$name"
	is "$name: what ran" "$steps" "ran ran ran ran ran ran ran ran"
	is "$name: a step that needed them" "$(cat "$work/lost-$name/lines")" 4
	rm -rf "$context" && cp -R "$work/pristine" "$context"
	machine "$name-lost-4"
	cb build --progress plain --cache-from "$from" --cache-to "$3,mode=max" -o "$work/lost-$name" "$context"
	has "$name: a warning" "$out" "the steps that made it run instead"
}
# found NAME FROM: they are there again
found() {
	machine "$1-found"
	cb build --progress plain --cache-from "$2" -o "$work/found-$1" "$context"
	hasnt "$1: it was mended" "$out" "WARNING"
	is "$1: files" "$(cat "$work/found-$1/lines")" 3
}
# spoil FILES...: other bytes of the same length
spoil() {
	local file
	for file; do
		python3 -c 'import sys; f=open(sys.argv[1],"r+b"); d=f.read(1); f.seek(0); f.write(bytes([d[0]^1]))' "$file"
	done
}

share local "type=local,dest=$work/cachedir" "type=local,src=$work/cachedir"
is "no temporary files" "$(find "$work/cachedir" -name '.tmp*' | wc -l)" 0

spoil "$work"/cachedir/cas/*
lost local "type=local,src=$work/cachedir" "type=local,dest=$work/cachedir"
found local "type=local,src=$work/cachedir"

cache_serve
share http "type=http,url=http://127.0.0.1:$port/pre/fix" "type=http,url=http://127.0.0.1:$port/pre/fix/"
has "layout" "$(cat "$log")" "PUT /pre/fix/cas/"
has "layout" "$(cat "$log")" "GET /pre/fix/ac/"
python3 - "$work/served-0/pre/fix/ac" <<-'PY' || fail "records are no ActionResult messages"
	import os, sys
	for name in os.listdir(sys.argv[1]):
	    data = open(os.path.join(sys.argv[1], name), "rb").read()
	    at, fields = 0, []
	    while at < len(data):
	        tag = data[at]; at += 1
	        size = shift = 0
	        while True:
	            byte = data[at]; at += 1
	            size |= (byte & 127) << shift; shift += 7
	            if byte < 128: break
	        fields.append(tag); at += size
	    assert at == len(data) and fields[-1] == 0x2a and set(fields[:-1]) <= {0x12}, (name, fields)
PY

touch "$work/served-0/lost"
lost http "type=http,url=http://127.0.0.1:$port/pre/fix" "type=http,url=http://127.0.0.1:$port/pre/fix"
rm "$work/served-0/lost"
found http "type=http,url=http://127.0.0.1:$port/pre/fix"

registry_start
share registry "type=registry,ref=$registry/cache:1" "$registry/cache:1"
is "a plain image manifest" "$(curl -fs -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$registry/v2/cache/manifests/1" | jq -r .config.mediaType)" \
	"application/vnd.cbuild.cache.config.v1+json"

for layer in $(curl -fs -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$registry/v2/cache/manifests/1" |
	jq -r '.layers[]|select(.mediaType|test("tar"))|.digest[7:]'); do
	rm -rf "$work/registry/docker/registry/v2/blobs/sha256/${layer:0:2}/${layer:?}"
done
lost registry "$registry/cache:1" "type=registry,ref=$registry/cache:1"
found registry "$registry/cache:1"

say "registry: what several builds give is joined"
context join <<<"FROM $registry/busybox"
cat >>"$context/Buildfile" <<'END'
ARG who
RUN echo "$who" > /who
END
for who in a b; do
	machine "join-$who"
	cb build --progress none --build-arg who=$who --cache-to "type=registry,ref=$registry/joined" "$context"
done
for who in c d e f; do
	CBUILD_ROOT=$work/store-join-$who "$CBUILD" build --progress none --build-arg who=$who \
		--cache-to "type=registry,ref=$registry/joined" "$context" >"$work/join-$who.out" 2>&1 &
	joining[${#joining[@]}]=$!
done
for pid in "${joining[@]}"; do wait "$pid" || fail "a build beside others failed"; done
machine join-all
for who in a b; do
	statuses --build-arg who=$who --cache-from "$registry/joined"
	is "the records of $who" "$steps" "cached"
done
found=0
for who in c d e f; do
	statuses --build-arg who=$who --cache-from "$registry/joined"
	[ "$steps" != cached ] || found=$((found + 1))
done
say "of four at the same moment, $found stayed"
[ "$found" -ge 1 ] || fail "none of four builds at the same moment left its records"
printf 'FROM %s/busybox\nRUN echo new > /new\n' "$registry" >"$context/Buildfile"
blob=$(curl -fs -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$registry/v2/joined/manifests/latest" |
	jq -r '[.layers[]|select(.mediaType|test("tar"))][0].digest[7:]')
rm -r "$work/registry/docker/registry/v2/blobs/sha256/${blob:0:2}/${blob:?}"
machine join-new
cb build --progress plain --cache-to "type=registry,ref=$registry/joined" "$context"
hasnt "a blob that was deleted is in nobody's way" "$out" WARNING
machine join-see
statuses --cache-from "$registry/joined"
is "the new record" "$steps" "cached"
cb build --progress plain --cache-to "type=registry,ref=$registry/busybox" "$context"
has "an image is not replaced by a cache" "$out" "an image has this name"
cb build --progress plain --cache-from "$registry/busybox" --no-cache-filter none "$context"

say "inline: records in the image"
context inline <<END
FROM $registry/busybox
RUN echo one > /one
COPY two /two
COPY --link three /three
RUN cat /one /two /three > /all
END
echo 2 >"$context/two" && echo 3 >"$context/three"
digest_of() { curl -fsI -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$registry/v2/$1" | tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p'; }
push=(-o "type=registry,name=$registry/inline:1,oci-mediatypes=true" --cache-to type=inline)
machine inline-1
cb build --progress none "${push[@]}" "$context"
first=$(digest_of inline/manifests/1)
cb build --progress none "${push[@]}" "$context"
is "the same image from the store" "$(digest_of inline/manifests/1)" "$first"
machine inline-2
statuses --cache-from "type=registry,ref=$registry/inline:1" "${push[@]}"
is "all from the image" "$steps" "cached cached cached cached"
is "no layer came" "$(find "$CBUILD_ROOT/snapshots" -mindepth 1 -maxdepth 1 | wc -l)" 0
is "the same image from itself" "$(digest_of inline/manifests/1)" "$first"
machine inline-3
echo changed >"$context/three"
statuses --cache-from "$registry/inline:1" -o "$work/inline"
is "what was changed ran" "$steps" "cached cached ran ran"
is "the result" "$(tr '\n' ' ' <"$work/inline/all")" "one 2 changed "
machine inline-4
mkdir "$work/child" && echo "FROM $registry/inline:1" >"$work/child/Buildfile"
cb build --progress none -o "type=registry,name=$registry/child:1,oci-mediatypes=true" "$work/child"
is "what is built on it does not carry its records" "$(curl -fs "http://$registry/v2/child/blobs/$(curl -fs -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$registry/v2/child/manifests/1" | jq -r .config.digest)" | jq 'has("cbuild.cache.v1")')" false
cb build --progress plain --cache-from "$registry/busybox" "$context"
has "an image without records" "$out" "the image has no records"
skopeo_ copy -q --src-tls-verify=false "docker://$registry/inline:1" "oci:$work/inline-oci:1"
status 2 "$CBUILD" build --cache-to type=inline -o "$work/files" "$context"
has "no image to carry them" "$out" "this build makes no image"
status 2 "$CBUILD" build --cache-to type=inline,mode=max "$context"
status 2 "$CBUILD" build --cache-to type=inline --squash "$context"
has "nothing to carry" "$out" "does not have the layers of its steps"
status 2 "$CBUILD" build --cache-from type=inline "$context"

cache_serve s3
export AWS_ACCESS_KEY_ID=AKIDTEST AWS_SECRET_ACCESS_KEY=sekret
s3="type=s3,bucket=bucket,region=eu-test-1,endpoint_url=http://127.0.0.1:$port,prefix=a/"
share s3 "$s3" "$s3"
hasnt "all requests are signed" "$(cat "$log")" UNSIGNED
has "layout" "$(cat "$log")" "PUT /bucket/a/cas/"

touch "$work/served-1/lost"
lost s3 "$s3" "$s3"
rm "$work/served-1/lost"
found s3 "$s3"

rm -rf "$context" && cp -R "$work/pristine" "$context"
say "mode=min gives the layers of the result only"
rm -rf "$context" && cp -R "$work/pristine" "$context"
machine min-1
cb build --progress none --cache-to "type=local,dest=$work/mindir" "$context"
is "no big layer" "$(find "$work/mindir" -size +2000k | wc -l)" 0
machine min-2
statuses --cache-from "type=local,src=$work/mindir"
is "all is there for the result" "$steps" "cached cached cached cached cached cached cached cached"

say "caches that fail are no failure"
cache_serve grumpy
machine grumpy
cb build --progress plain --cache-from "type=http,url=http://127.0.0.1:$port" --cache-to "type=http,url=http://127.0.0.1:$port" "$context"
has "a warning" "$out" "it is left alone from now on"
AWS_SECRET_ACCESS_KEY=wrong cb build --progress plain --cache-to "$s3" "$context"
has "a warning" "$out" "WARNING"
cb build --progress plain --cache-from type=http,url=http://127.0.0.1:1 --no-cache-filter none "$context"
has "nobody is there" "$out" "WARNING"
status 126 "$CBUILD" build --progress plain --cache-to "type=http,url=http://127.0.0.1:1,ignore-error=false" "$context"

say "a cache that is far away: questions are asked side by side"
context chain <<<"FROM $registry/busybox"
for i in $(seq 20); do
	echo "COPY f$i /f$i" >>"$context/Buildfile"
	echo "$i" >"$context/f$i"
done
machine chain-1
cb build --progress none --cache-to "type=local,dest=$work/served-$((${#servers[@]} + 1))" "$context"
cache_serve # its directory is not that of the cache
cache_serve delay=500
machine chain-2
before=$(date +%s%N)
statuses --cache-from "type=http,url=http://127.0.0.1:$port"
took=$((($(date +%s%N) - before) / 1000000))
is "all are there" "${steps//cached/}" "$(printf '%19s' '')"
# One after the other, 20 layers alone would take ten seconds.
[ "$took" -lt 6000 ] || fail "20 cached steps took $took ms"
rm -rf "$context" && cp -R "$work/pristine" "$context"

say "a cache that never answers"
cache_serve stuck
machine stuck
before=$(date +%s%N)
cb build --progress plain --cache-from "type=http,url=http://127.0.0.1:$port,timeout=1s" -o "$work/stuck" "$context"
took=$((($(date +%s%N) - before) / 1000000))
has "a warning" "$out" "no answer for 1s"
is "the result" "$(cat "$work/stuck/lines")" 3
# Eight steps, of which none waits once the cache is left alone.
[ "$took" -lt 12000 ] || fail "a stuck cache held the build up for $took ms"

say "what a cache says is checked"
machine poison
cp -R "$work/cachedir" "$work/poison"
spoil "$work"/poison/cas/*
cb build --progress plain --cache-from "type=local,src=$work/poison" -o "$work/poisoned" "$context"
has "other bytes are refused" "$out" "the steps that made it run instead"
is "and nothing of them is in the result" "$(cat "$work/poisoned/lines")" 3
for record in "$work"/poison/ac/*; do echo '{"version":1,"layers":[{"diff_id":"../../x"}]}' >"$record"; done
cb build --progress plain --cache-from "type=local,src=$work/poison" "$context"
has "a record that is none" "$out" "WARNING"

say "wrong options"
for bad in type=local,src=x,timeout=never type=local,src=x,timeout=1ms; do
	status 2 "$CBUILD" build --cache-from "$bad" "$context"
done
for bad in type=gha type=local type=local,dest=x,mode=most "type=http,url=http://x,zone=1" ""; do
	status 2 "$CBUILD" build --cache-to "$bad" "$context"
done

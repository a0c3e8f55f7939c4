# users: any
# cbuild diff and cbuild size: against what python makes of the same layers, and against tar -tv of what skopeo copied.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need jq skopeo python3
context diff <<'END'
FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY big /data/big
COPY big /data/sub/big2
FROM base
ARG WORD=more
ENV A=1 WORD=$WORD
RUN rm /data/big && echo $WORD >> /data/sub/big2 && mkdir /x && ln /data/sub/big2 /x/link && ln -s nowhere /x/sym && \
	chmod 4755 /bin/busybox
LABEL l=1
END
cp /bin/busybox "$context/"
head -c 300000 /dev/urandom >"$context/big"
build() { "$CBUILD" build -q "$@" "$context" >/dev/null 2>"$work/.err" || fail "build: $(cat "$work/.err")"; }
build -t a:1
build -t a:2 --build-arg WORD=other -o type=image -o "type=oci,dest=$work/a2.tar" -o "type=docker,dest=$work/a2d.tar" \
	-o "type=oci,tar=false,dest=$work/a2dir" -o "type=local,dest=$work/a2files"

say "what differs"
status 0 "$CBUILD" diff -q a:1 a:2
has "a variable" "$out" '  Env.WORD: "more" -> "other"'
has "history" "$out" '  - RUN |1 WORD=more'
has "a file" "$out" "  ~ /data/sub/big2: size 300005 -> 300006; content"
has "its other name" "$out" "  ~ /x/link: size"
has "sum" "$out" "0 only in b, 0 only in a, 2 differ"
status 1 "$CBUILD" diff -q --exit-code a:1 a:2
status 0 "$CBUILD" diff -q --exit-code a:2 a:2
has "equal" "$out" "no difference"
is "as JSON" "$("$CBUILD" diff -q --format json a:1 a:2 | jq -c '[.differ, .changed, (.files[] | .path, .fields)]')" \
	'[true,2,"/data/sub/big2",["size","content"],"/x/link",["size","content"]]'

say "from everywhere"
for image in "oci-archive:$work/a2.tar" "docker-archive:$work/a2d.tar" "oci:$work/a2dir" "$work/a2.tar" "$work/a2dir"; do
	status 0 "$CBUILD" diff -q --exit-code a:2 "$image"
done
status 0 "$CBUILD" diff -q a:2 "dir:$work/a2files"
hasnt "the files of the directory are those of the image" "$out" " only in the"
hasnt "no content differs" "$out" "content"
hasnt "no type differs" "$out" " -> directory"
has "hard links are seen in directories" "$("$CBUILD" diff -q --format json oci:"$work/a2dir" "dir:$work/a2files" | jq -c .removed)" 0
echo changed >"$work/a2files/x/new"
status 1 "$CBUILD" diff -q --exit-code "dir:$work/a2files" a:2
has "what only the directory has" "$out" "  - /x/new: file"
status 1 "$CBUILD" diff -q a:2 "docker-archive:$work/a2d.tar:other:1"
has "another name" "$out" "has no image other:1"
status 1 "$CBUILD" diff -q a:2 "$work/nothing"
status 2 "$CBUILD" diff a:2
status 2 "$CBUILD" size "dir:$work/a2files"

say "random layers, against python"
for seed in $(seq 13); do
	python3 "$here/random_image.py" "$seed" "$work/r$seed"
	[ "$seed" -gt 1 ] || continue
	"$CBUILD" diff -q --format json "oci:$work/r$((seed - 1))" "oci:$work/r$seed" >"$work/found.json"
	status 0 python3 "$here/random_image.py" compare "$work/r$((seed - 1))" "$work/r$seed" "$work/found.json"
done

say "sizes, against tar -tv"
sizes() { # NAME DIR: what tar says of the layers that skopeo copied
	local layer
	for layer in $(jq -r '.layers[].digest' "$2/manifest.json"); do
		case $(head -c 4 "$2/${layer#sha256:}" | od -An -tx1) in
		" 28 b5"*) zstd -dcq "$2/${layer#sha256:}" ;;
		" 1f 8b"*) gzip -dc "$2/${layer#sha256:}" ;;
		*) cat "$2/${layer#sha256:}" ;;
		esac | tar -tv --numeric-owner | awk '/^-/ && !/\/\.wh\./ { n++; s += $3 } END { print s + 0, n + 0 }'
	done
}
for image in a:1 "oci:$work/r5"; do
	from=$image
	[ "$image" != a:1 ] || from=oci:$CBUILD_ROOT:docker.io/library/a:1
	rm -rf "$work/copied"
	skopeo_ copy -q "$from" "dir:$work/copied"
	"$CBUILD" size -q --format json "$image" >"$work/size.json"
	is "bytes and files of each layer of $image" "$(jq -r '.layers[] | "\(.unpacked) \(.files)"' "$work/size.json")" "$(sizes "$image" "$work/copied")"
	is "compressed" "$(jq .compressed "$work/size.json")" "$(jq '[.layers[].size] | add' "$work/copied/manifest.json")"
done
"$CBUILD" size -q --format json a:2 a:1 >"$work/size.json"
is "in vain" "$(jq -c '.wasted | [.files, .largest[].path]' "$work/size.json")" '[3,"/bin/busybox","/data/big","/data/sub/big2"]'
is "the result" "$(jq .result.size "$work/size.json")" \
	"$(($(stat -c %s "$context/busybox") + 300006))"
is "what grew" "$(jq -c '.against | [.shared_layers, .result_grew, .files]' "$work/size.json")" \
	'[4,1,[{"path":"/data/sub/big2","size":300006,"before":300005,"grew":1}]]'
cb size -q a:1
has "steps" "$out" "COPY big /data/sub/big2"
has "for people" "$out" "(layer 3, deleted in 5)"
is "the same content twice" "$("$CBUILD" size -q --format json "oci:$work/r5" | jq '.repeated.groups > 0')" true

say "a registry: what is not needed is not fetched"
registry_start
for tag in 1 2; do
	cb push -q a:$tag "$registry/a:$tag"
done
export CBUILD_ROOT=$work/empty
status 0 "$CBUILD" diff -q --exit-code --insecure-registry "$registry" "docker://$registry/a:1" "$registry/a:1"
is "no layer was fetched" "$(find "$work/empty/blobs" -size +100k | wc -l)" 0
status 0 "$CBUILD" diff -q --insecure-registry "$registry" "$registry/a:1" "docker://$registry/a:2"
has "the same difference" "$out" "0 only in b, 0 only in a, 2 differ"
cb size -q --top 1 --insecure-registry "$registry" "$registry/a:1"
has "layers of a registry" "$out" "In vain: "
cb fsck

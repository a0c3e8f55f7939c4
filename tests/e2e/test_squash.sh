# users: any single
# --squash: one layer that has the files of many, against the image without it, against buildah, on every rung there is.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need jq skopeo python3
python3 "$here/random_image.py" 5 "$work/base"
context squash <<'END'
FROM base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY big /data/big
COPY big /data/sub/big2
ENV A=1
RUN rm /data/big && echo more >> /data/sub/big2 && mkdir /x && ln /data/sub/big2 /x/link && ln -s nowhere /x/sym && \
	chmod 4755 /bin/busybox && rm -rf /a-b && mkdir /a-b && echo n > /a-b/n && rm -rf /c && echo f > /c && echo made > /gone
RUN rm /gone && mkfifo /x/fifo && rm -rf /b && touch -d @1000 /x
CMD ["true"]
END
cp /bin/busybox "$context/"
head -c 300000 /dev/urandom >"$context/big"
build() { # NAME OPTION...: the image, and an archive of it
	local name=$1
	shift
	status 0 "$CBUILD" build -q -t "$name" --build-context "base=oci-layout://$work/base" -o type=image -o "type=oci,dest=$work/$name.tar" \
		"$@" "$context"
}
layers() { "$CBUILD" inspect --raw manifest "$1" | jq '.layers | length'; }

say "new and all"
build plain
build new --squash
build all --squash=all
hasnt "no warning" "$out" "has no effect"
below=$(jq '.layers | length' "$work/base/blobs/sha256/$(jq -r '.manifests[0].digest' "$work/base/index.json" | cut -d: -f2)")
is "layers without" "$(layers plain)" $((below + 6))
is "layers of new" "$(layers new)" $((below + 1))
is "layers of all" "$(layers all)" 1
for name in new all; do
	status 0 "$CBUILD" diff -q --format json plain $name
	is "files, times and configuration of $name" "$("$CBUILD" diff -q --times --format json plain $name | jq -c '[.config, .files]')" '[[],[]]'
	is "files of $name, against python" "$(python3 "$here/image_diff.py" diff "$work/plain.tar" "$work/$name.tar")" "0 differences"
	is "one item for each layer in $name" "$("$CBUILD" inspect --raw config $name | jq '[.history[] | select(.empty_layer | not)] | length')" "$(layers $name)"
	is "diff IDs of $name" "$("$CBUILD" inspect --raw config $name | jq '.rootfs.diff_ids | length')" "$(layers $name)"
	cb run $name ls /x
	is "$name runs" "$(tr '\n' ' ' <<<"$out")" "fifo link sym "
done
is "the base's layers stay" "$("$CBUILD" inspect --raw manifest new | jq -c ".layers[:$below] | map(.digest)")" \
	"$("$CBUILD" inspect --raw manifest plain | jq -c ".layers[:$below] | map(.digest)")"
has "history keeps the steps" "$("$CBUILD" history new)" "ENV A=1"
digest=$("$CBUILD" inspect --raw config new | jq -r '.rootfs.diff_ids[-1]' | cut -d: -f2)
layer=$("$CBUILD" inspect --raw manifest new | jq -r '.layers[-1].digest' | cut -d: -f2)
gzip -dc "$CBUILD_ROOT/blobs/sha256/$layer" >"$work/layer.tar"
is "the diff ID" "$(sha256sum <"$work/layer.tar" | cut -d' ' -f1)" "$digest"
list=$(tar -tf "$work/layer.tar")
hasnt "what was made and removed" "$list" gone
hasnt "what was copied and removed" "$list" data/big$'\n'
has "what the base had and is deleted" "$list" .wh.b

say "once more: steps from the cache, the same image"
want=$("$CBUILD" inspect --raw manifest new | sha256sum)
status 0 "$CBUILD" build --progress plain -t again --squash=new --build-context "base=oci-layout://$work/base" "$context"
is "no step ran, nor was the base fetched" "$(grep -c CACHED <<<"$out")" 7
is "the same" "$("$CBUILD" inspect --raw manifest again | sha256sum)" "$want"
status 0 "$CBUILD" build -q -t again --squash=false --build-context "base=oci-layout://$work/base" "$context"
is "as without" "$("$CBUILD" inspect --raw manifest again | sha256sum)" "$("$CBUILD" inspect --raw manifest plain | sha256sum)"
status 2 "$CBUILD" build --squash=some "$context"
has "which values there are" "$out" '--squash is new or all, not "some"'

say "one time for all, on every rung"
first=
rungs=auto
! is_root || rungs="root+userns root auto"
for rung in $rungs; do
	status 0 "$CBUILD" build -q -t rung --squash --isolation "$rung" --build-context "base=oci-layout://$work/base" --root "$work/store-$rung" \
		--reproducible "$context"
	got=$("$CBUILD" inspect --root "$work/store-$rung" --raw manifest rung | jq -c '.layers[-1]')
	has "annotation of the time" "$got" "rewritten-timestamp"
	[ -n "$first" ] || first=$got
	is "the layer with $rung" "$got" "$first"
done
is "all times of the layer" "$(layer=$(jq -r '.digest' <<<"$first" | cut -d: -f2)
	gzip -dc "$work/store-$rung/blobs/sha256/$layer" | tar -tv --utc --full-time | grep -v '\.wh\.' | awk '{ print $4 }' | sort -u)" 1970-01-01

say "nothing to join"
printf 'FROM base\nCOPY big /\n' >"$work/one"
status 0 "$CBUILD" build -q -t one --squash -f "$work/one" --build-context "base=oci-layout://$work/base" "$context"
is "one layer" "$(layers one)" $((below + 1))

say "pushed"
registry_start
status 0 "$CBUILD" build -q --squash -t "$registry/squashed:1" --push --insecure-registry "$registry" --build-context "base=oci-layout://$work/base" "$context"
is "layers in the registry" "$(skopeo_ inspect --raw --tls-verify=false "docker://$registry/squashed:1" | jq '.layers | length')" $((below + 1))

if is_root && command -v buildah >/dev/null; then
	say "buildah"
	push_busybox
	cat >"$work/peer" <<-END
		FROM $registry/busybox
		COPY big /data/big
		RUN rm /data/big && rm -rf /root && mkdir /new && ln /bin/busybox /new/link && echo x > /etc/added && rm /bin/awk
		ENV A=1
		RUN chmod 600 /etc/passwd && rm /etc/added && chown 5:6 /etc/group
		LABEL l=1
	END
	bud() { buildah --storage-driver vfs --root "$work/buildah" --runroot "$work/buildah-run" "$@"; }
	if bud build -q --isolation chroot --tls-verify=false --squash -t peer -f "$work/peer" "$context" >"$work/peer.log" 2>&1; then
		bud push -q peer "oci-archive:$work/peer.tar" 2>/dev/null
		status 0 "$CBUILD" build -q -f "$work/peer" --insecure-registry "$registry" --squash -o "type=oci,dest=$work/ours.tar" "$context"
		is "files and configuration as buildah --squash has them" "$(python3 "$here/image_diff.py" diff "$work/peer.tar" "$work/ours.tar" --ignore run)" "0 differences"
		skopeo_ inspect --raw "oci-archive:$work/peer.tar" >"$work/peer.json"
		is "layers" "$(skopeo_ inspect --raw "oci-archive:$work/ours.tar" | jq '.layers | length')" 2
		say "buildah makes $(jq '.layers | length' "$work/peer.json") layers of it"
	else
		say "buildah cannot build here: not compared: $(tail -n 1 "$work/peer.log")"
	fi
fi
cb fsck

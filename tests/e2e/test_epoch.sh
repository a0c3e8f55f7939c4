# users: any single
# SOURCE_DATE_EPOCH: where it comes from, what it changes, and what it leaves alone.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need python3 git jq
web=$work/web
mkdir -p "$web/plain"
python3 "$here/webserver.py" "$web" "$work/port" &
web_pid=$!
at_end() { kill "$web_pid"; }
for _ in $(seq 100); do
	[ -s "$work/port" ] && break
	sleep 0.05
done
url=http://127.0.0.1:$(cat "$work/port")

# build [OPTION...] CONTEXT: into $work/out.tar; set -o yourself with build_to.
build_to() {
	local dest=$1
	shift
	cb build -o "$dest" "$@"
}
build() { build_to "type=oci,dest=$work/out.tar" "$@"; }
utc() { date -u -d "@$1" +%Y-%m-%dT%H:%M:%SZ; }
# git_ ...: in the repository $repo
git_() { git -C "$repo" -c user.name=me -c user.email=me@example.com "$@"; }
created() { oci_config "$work/out.tar" .created; }
# layer N: the tar of a layer, from 0; times N: "SECONDS NAME" of its entries
layer() {
	python3 - "$work/out.tar" "$1" <<'END'
import sys, tarfile, json, gzip
image = tarfile.open(sys.argv[1])
read = lambda d: image.extractfile("blobs/" + d.replace(":", "/")).read()
manifest = json.loads(read(json.load(image.extractfile("index.json"))["manifests"][0]["digest"]))
sys.stdout.buffer.write(gzip.decompress(read(manifest["layers"][int(sys.argv[2])]["digest"])))
END
}
times() {
	layer "$1" | python3 -c '
import sys, tarfile
for member in tarfile.open(fileobj=sys.stdin.buffer, mode="r|"):
    print(int(member.mtime), member.name)'
}
manifest() {
	python3 - "$work/out.tar" <<'END'
import sys, tarfile, json
image = tarfile.open(sys.argv[1])
index = json.load(image.extractfile("index.json"))
print(image.extractfile("blobs/" + index["manifests"][0]["digest"].replace(":", "/")).read().decode())
END
}

# What has no epoch of its own.
busybox_tar
push_base old "$work/busybox.tar" '{"Env":["A=1"]}'
skopeo_ copy -q --src-tls-verify=false "docker://$registry/old:latest" "oci:$work/base:latest"

say "created, history and index; the base's history stays"
context plain <<END
FROM base
ARG SOURCE_DATE_EPOCH
ENV SEEN=\$SOURCE_DATE_EPOCH
WORKDIR /made
COPY f /made/f
LABEL a=b
END
echo f >"$context/f"
touch -d @2000000000 "$context/f"
based=(--build-context "base=oci-layout://$work/base")
old=$(skopeo inspect --raw --config "oci:$work/base:latest" | jq -r '.history[0].created')
build "${based[@]}" --build-arg SOURCE_DATE_EPOCH=1000000000 "$context"
is "created" "$(created)" "$(utc 1000000000)"
is "history" "$(oci_config "$work/out.tar" '[.history[].created]|unique|length')" 2
is "the base's history" "$(oci_config "$work/out.tar" '.history[0].created')" "$old"
is "the others" "$(oci_config "$work/out.tar" '[.history[1:][].created]|unique|.[]')" "$(utc 1000000000)"
is "visible as an ARG" "$(oci_config "$work/out.tar" '.config.Env|map(select(startswith("SEEN")))|.[]')" SEEN=1000000000
is "annotation of the index" "$(tar xOf "$work/out.tar" index.json | jq -r '.manifests[0].annotations["org.opencontainers.image.created"]')" "$(utc 1000000000)"
is "WORKDIR has it" "$(times 1)" "1000000000 made"
has "files keep their times" "$(times 2)" "2000000000 made/f"
hasnt "nothing says otherwise" "$(manifest)" rewritten-timestamp

say "the environment is a build argument; the option goes before it"
status 0 env SOURCE_DATE_EPOCH=77 "$CBUILD" build "${based[@]}" -o "type=oci,dest=$work/out.tar" "$context"
is "environment" "$(created)" "$(utc 77)"
status 0 env SOURCE_DATE_EPOCH=77 "$CBUILD" build "${based[@]}" --build-arg SOURCE_DATE_EPOCH=78 -o "type=oci,dest=$work/out.tar" "$context"
is "option" "$(created)" "$(utc 78)"
status 0 env SOURCE_DATE_EPOCH=77 "$CBUILD" build "${based[@]}" --build-arg SOURCE_DATE_EPOCH= -o "type=oci,dest=$work/out.tar" "$context"
is "empty is none" "$(created | cut -c1-2)" 20
status 1 env SOURCE_DATE_EPOCH=never "$CBUILD" build "${based[@]}" "$context"
has "what is no time" "$out" "invalid SOURCE_DATE_EPOCH: never"

say "rewrite-timestamp: newer files are as old as the epoch, older ones and the base's layers stay"
touch -d @500000000 "$context/f"
echo g >"$context/g"
touch -d @2000000000 "$context/g"
sed -i 's/COPY f .*/COPY f g \/made\//' "$context/Buildfile"
rewrite="type=oci,dest=$work/out.tar,rewrite-timestamp=true"
build_to "$rewrite" "${based[@]}" --build-arg SOURCE_DATE_EPOCH=1000000000 "$context"
layer 2 >"$work/first.layer"
is "clamped" "$(times 2)" "$(printf '1000000000 made\n500000000 made/f\n1000000000 made/g')"
is "the base's layer" "$(manifest | jq -r '.layers[0].digest')" "$(skopeo inspect --raw "oci:$work/base:latest" | jq -r '.layers[0].digest')"
is "layers say so" "$(manifest | jq -c '[.layers[].annotations["buildkit/rewritten-timestamp"]]')" '[null,"1000000000","1000000000"]'
is "diff ID" "$(oci_config "$work/out.tar" '.rootfs.diff_ids[2]')" "sha256:$(sha256sum <"$work/first.layer" | cut -d' ' -f1)"
cp "$work/out.tar" "$work/first.tar"
build_to "$rewrite" "${based[@]}" --build-arg SOURCE_DATE_EPOCH=1000000000 "$context"
cmp "$work/first.tar" "$work/out.tar" || fail "a cached build is another archive"
build_to "$rewrite" "${based[@]}" --no-cache --build-arg SOURCE_DATE_EPOCH=1000000000 "$context"
cmp "$work/first.tar" "$work/out.tar" || fail "a second build is another archive"
build "${based[@]}" --build-arg SOURCE_DATE_EPOCH=1000000000 "$context"
has "without it the times are the files' own" "$(times 2)" "2000000000 made/g"
build_to "$rewrite" "${based[@]}" --build-arg SOURCE_DATE_EPOCH=900000000 "$context"
has "another epoch, other layers" "$(times 2)" "900000000 made/g"
build_to "$rewrite" "${based[@]}" "$context"
has "without an epoch there is a warning" "$out" "rewrite-timestamp has no effect"

say "source-date-epoch of an output goes before that of the build"
build_to "type=oci,dest=$work/out.tar,source-date-epoch=5" "${based[@]}" --build-arg SOURCE_DATE_EPOCH=1000000000 "$context"
is "created" "$(created)" "$(utc 5)"
is "steps have that of the build" "$(times 1)" "1000000000 made"
build_to "type=oci,dest=$work/out.tar,source-date-epoch=" "${based[@]}" --build-arg SOURCE_DATE_EPOCH=5 "$context"
hasnt "empty: none" "$(created)" "1970"
status 2 "$CBUILD" build -o "type=oci,dest=$work/out.tar,source-date-epoch=soon" "$context"
has "bad value" "$out" "invalid SOURCE_DATE_EPOCH: soon"

say "files of outputs"
build_to "type=tar,dest=$work/files.tar" "${based[@]}" --build-arg SOURCE_DATE_EPOCH=12345 "$context"
is "tar" "$(tar tvf "$work/files.tar" --utc --full-time | awk '{ print $4, $5 }' | sort -u)" "1970-01-01 03:25:45"
build_to "type=local,dest=$work/files" "${based[@]}" --build-arg SOURCE_DATE_EPOCH=12345 "$context"
is "directory" "$(find "$work/files" -mindepth 1 -printf '%Ts\n' | sort -u)" 12345
build_to "type=tar,dest=$work/files.tar,source-date-epoch=0" "${based[@]}" "$context"
is "attribute" "$(tar tvf "$work/files.tar" --utc --full-time | awk '{ print $4, $5 }' | sort -u)" "1970-01-01 00:00:00"

say "the default of a global ARG"
epoch_of() { # VALUE [OPTION...]: created of a build with that default
	local value=$1
	shift
	context default <<END
ARG SOURCE_DATE_EPOCH=$value
FROM scratch AS when
ARG FILE=dated.tar
ADD $url/\$FILE /
FROM scratch
ARG SOURCE_DATE_EPOCH
LABEL epoch="\$SOURCE_DATE_EPOCH."
END
	build "$@" "$context"
	label=$(oci_config "$work/out.tar" .config.Labels.epoch)
	created=$(created)
}
mkdir "$work/in"
echo 1 >"$work/in/a" && echo 2 >"$work/in/b"
touch -d @1100000000 "$work/in/a" && touch -d @1200000000 "$work/in/b" && touch -d @1300000000 "$work/in"
tar -C "$work/in" -czf "$web/plain/archive.tar.gz" .
cp "$web/plain/archive.tar.gz" "$web/dated.tar"
touch -d @1400000000 "$web/dated.tar"
echo text >"$web/plain/text"

epoch_of 1234567890
is "seconds" "$created $label" "$(utc 1234567890) 1234567890."
epoch_of 1234567890 --build-arg SOURCE_DATE_EPOCH=
is "an empty build argument takes it back" "$label" "."
hasnt "the time is now" "$created" "$(utc 1234567890)"
epoch_of context
is "a local context has none" "$label" "."
epoch_of when
is "a stage: Last-Modified" "$created $label" "$(utc 1400000000) 1400000000."
epoch_of WHEN --build-arg FILE=plain/archive.tar.gz
is "a stage: the newest file of an archive" "$created $label" "$(utc 1200000000) 1200000000."
epoch_of when --build-arg FILE=plain/text
is "a stage: nothing says" "$label" "."
epoch_of other --build-context "other=$url/dated.tar"
is "a named context" "$created" "$(utc 1400000000)"
epoch_of other --build-context "other=$work/in"
is "a named directory has none" "$label" "."
status 1 "$CBUILD" build --build-arg SOURCE_DATE_EPOCH=nowhere "$context"
has "no such name" "$out" "invalid SOURCE_DATE_EPOCH: nowhere"
sed -i 's/=other/=nowhere/' "$context/Buildfile"
status 1 "$CBUILD" build "$context"
has "its place" "$out" "Buildfile:1:23: error: invalid SOURCE_DATE_EPOCH: nowhere"

say "stages that are more than a source"
for stage in "FROM scratch AS when" "FROM scratch AS when
ADD $url/dated.tar $url/plain/text /" "FROM scratch AS when
COPY x /" "FROM base AS when
ADD $url/dated.tar /" "FROM scratch AS when
ADD local.tar /"; do
	context bad <<END
ARG SOURCE_DATE_EPOCH=when
$stage
FROM scratch
LABEL a=b
END
	status 1 "$CBUILD" build "$context"
	has "refused" "$out" "SOURCE_DATE_EPOCH stage must"
done

say "remote contexts: Last-Modified, the newest file, the commit"
# shellcheck disable=SC2016
printf 'ARG SOURCE_DATE_EPOCH=context\nFROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL epoch=$SOURCE_DATE_EPOCH.\n' >"$work/in/Buildfile"
touch -d @1250000000 "$work/in/Buildfile"
tar -C "$work/in" -czf "$web/plain/context.tgz" .
cp "$web/plain/context.tgz" "$web/context.tgz"
touch -d @1500000000 "$web/context.tgz"
build "$url/context.tgz"
is "Last-Modified" "$(created)" "$(utc 1500000000)"
build "$url/context.tgz"
is "the same when it is kept" "$(created)" "$(utc 1500000000)"
build "$url/plain/context.tgz"
is "newest file" "$(created)" "$(utc 1250000000)"
"$CBUILD" build -q -o "type=oci,dest=$work/out.tar" - <"$web/plain/context.tgz" >/dev/null
is "standard input" "$(created)" "$(utc 1250000000)"
repo=$work/in
git_ init -q -b main && git_ add Buildfile
GIT_AUTHOR_DATE="@1111111111 +0100" GIT_COMMITTER_DATE="@1222222222 +0100" git_ commit -qm one
git clone -q --bare "$work/in" "$web/repo.git" && git -C "$web/repo.git" update-server-info
build "$url/repo.git"
is "commit" "$(created) $(oci_config "$work/out.tar" .config.Labels.epoch)" "$(utc 1222222222) 1222222222."
build "$url/repo.git"
is "the same when it is kept" "$(created)" "$(utc 1222222222)"

say "--reproducible: the same archive from another store, another checkout, another moment"
context same <<END
FROM scratch
WORKDIR /d
COPY . /d/
END
mkdir "$context/sub"
echo 1 >"$context/sub/file"
touch -d @900000000 "$context/sub/file"
build_to "type=oci,dest=$work/first.tar" --reproducible "$context"
cp "$work/first.tar" "$work/out.tar"
is "nothing says when: 0" "$(created) $(times 1 | cut -d' ' -f1 | sort -u)" "$(utc 0) 0"
touch "$context/sub/file" "$context/sub"
build_to "type=oci,dest=$work/out.tar" --root "$work/store2" --reproducible "$context"
cmp "$work/first.tar" "$work/out.tar" || fail "another store, another archive"
git -C "$context" init -q -b main
status 0 "$CBUILD" build --reproducible "$context"
repo=$context
git_ add . && GIT_COMMITTER_DATE="@1222222222 +0100" git_ commit -qm one
git -C "$context" config log.showSignature true
git -C "$context" config gpg.program "$work/never"
printf '#!/bin/sh\ntouch %s/ran\n' "$work" >"$work/never"
chmod +x "$work/never"
printf '.git\n' >"$context/.dockerignore"
build --reproducible "$context"
is "the commit" "$(created) $(times 1 | cut -d' ' -f1 | sort -u)" "$(utc 1222222222) 1222222222"
[ ! -e "$work/ran" ] || fail "configuration of the repository was run"
build --reproducible --build-arg SOURCE_DATE_EPOCH=7 "$context"
is "what is said goes before" "$(created)" "$(utc 7)"
build --reproducible "$url/repo.git"
is "a remote context" "$(created)" "$(utc 1222222222)"

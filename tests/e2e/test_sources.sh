# users: any
# Where files come from: ADD of URLs and git repositories, remote contexts, contexts of other names.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need python3 git jq

web=$work/web
mkdir -p "$web/plain" "$web/dir"
python3 "$here/webserver.py" "$web" "$work/port" &
web_pid=$!
daemon_pid=
stop_servers() {
	kill "$web_pid" ${daemon_pid:+"$daemon_pid"} 2>/dev/null || true
}
at_end() { stop_servers; }
for _ in $(seq 100); do
	[ -s "$work/port" ] && break
	sleep 0.05
done
url=http://127.0.0.1:$(cat "$work/port")
requests() { grep -c -- "$1" "$web/.log" || true; }


build() { cb build -o "type=oci,dest=$work/out.tar" "$@"; }
list() { oci_list "$work/out.tar"; }
cat_() { oci_file "$work/out.tar" "$1"; }
# mtime PATH: of an entry of the last layer
mtime() {
	python3 - "$work/out.tar" "$1" <<'END'
import sys, tarfile, json, io, gzip
image = tarfile.open(sys.argv[1])
read = lambda d: image.extractfile("blobs/" + d.replace(":", "/")).read()
manifest = json.loads(read(json.load(image.extractfile("index.json"))["manifests"][0]["digest"]))
for layer in manifest["layers"]:
    for member in tarfile.open(fileobj=io.BytesIO(gzip.decompress(read(layer["digest"])))):
        if member.name.strip("/") == sys.argv[2]:
            print(int(member.mtime))
END
}

say "ADD of a URL"
echo hello >"$web/hello.txt"
touch -d @1500000000 "$web/hello.txt"
echo plain >"$web/plain/data"
sum=$(sha256sum "$web/hello.txt" | cut -d' ' -f1)
context url <<END
FROM scratch
ADD $url/hello.txt /a/
ADD $url/hello.txt /renamed
ADD --chmod=755 --chown=7:8 $url/plain/data /b/data
ADD $url/redirect/hello.txt?x=1 /c/
END
build "$context"
is "content" "$(cat_ /a/hello.txt)" hello
has "mode and owner" "$(list)" "f 0o600 0:0 6 a/hello.txt"
has "name of the destination" "$(list)" "f 0o600 0:0 6 renamed"
has "chmod and chown" "$(list)" "f 0o755 7:8 6 b/data"
has "redirect: name of the first URL" "$(list)" "c/hello.txt"
is "mtime is Last-Modified" "$(mtime a/hello.txt)" 1500000000
is "mtime without Last-Modified" "$(mtime b/data)" 0

say "the same again asks, and downloads nothing"
: >"$web/.log"
build "$context"
is "nothing unchanged was sent" "$(requests 'hello.txt 200')" 0
is "the server was asked, once for each URL" "$(requests 'GET /hello.txt 304')" 2
hasnt "no step ran" "$out" "ERROR"
has "all is cached" "$out" "CACHED"
echo changed >"$web/hello.txt"
touch -d @1500000000 "$web/hello.txt"
build "$context"
is "a change is seen" "$(cat_ /a/hello.txt)" changed
echo hello >"$web/hello.txt"
touch -d @1500000000 "$web/hello.txt"

say "checksums"
context checksum <<END
FROM scratch
ADD --checksum=sha256:$sum $url/hello.txt /
END
build "$context"
is "content" "$(cat_ /hello.txt)" hello
: >"$web/.log"
build "$context"
is "what has its checksum is not asked for" "$(requests hello)" 0
sed -i "s/sha256:..../sha256:0000/" "$context/Buildfile"
status 1 "$CBUILD" build "$context"
has "mismatch" "$out" "digest mismatch"
has "its place" "$out" "Buildfile:2"
sed -i "s/sha256:/md5:/" "$context/Buildfile"
status 1 "$CBUILD" build "$context"
has "algorithm" "$out" 'unsupported digest algorithm "md5"'
for bits in 384 512; do
	long=$(sha${bits}sum "$web/hello.txt" | cut -d' ' -f1)
	printf 'FROM scratch\nADD --checksum=sha%s:%s %s/hello.txt /\n' "$bits" "$long" "$url" >"$context/Buildfile"
	build "$context"
	is "content by sha$bits" "$(cat_ /hello.txt)" hello
	: >"$web/.log"
	build "$context"
	is "what has its sha$bits is not asked for" "$(requests hello)" 0
	sed -i "s/sha$bits:..../sha$bits:0000/" "$context/Buildfile"
	status 1 "$CBUILD" build "$context"
	has "mismatch of sha$bits" "$out" "digest mismatch sha$bits:$long"
	sed -i "s/sha$bits:..../sha$bits:/" "$context/Buildfile"
	status 1 "$CBUILD" build "$context"
	has "length of sha$bits" "$out" "sha$bits has $((bits / 4)) hex digits"
done
printf 'FROM scratch\nADD --checksum=sha256:%s Buildfile /\n' "$sum" >"$context/Buildfile"
status 1 "$CBUILD" build "$context"
has "local source" "$out" "--checksum requires a remote source"

say "failures"
for path in missing denied/x loop/x; do
	printf 'FROM scratch\nADD %s/%s /\n' "$url" "$path" >"$context/Buildfile"
	status 1 "$CBUILD" build "$context"
	has "$path: place" "$out" "Buildfile:2"
done
printf 'FROM scratch\nCOPY %s/hello.txt /\n' "$url" >"$context/Buildfile"
status 1 "$CBUILD" build "$context"
has "COPY of a URL" "$out" "source can't be a URL for COPY"
printf 'FROM scratch\nADD http://user:hunter2@127.0.0.1:1/x /\n' >"$context/Buildfile"
status 126 "$CBUILD" build "$context"
hasnt "no password in messages" "$(grep -v '>>>' <<<"$out" | grep -v 'ADD http')" hunter2

say "archives"
mkdir -p "$work/tree/sub"
echo inside >"$work/tree/sub/file"
tar -C "$work/tree" -czf "$web/tree.tar.gz" .
context archives <<END
FROM scratch
ADD $url/tree.tar.gz /kept/
ADD --unpack=true $url/tree.tar.gz /unpacked/
END
build "$context"
has "kept" "$(list)" kept/tree.tar.gz
is "unpacked" "$(cat_ /unpacked/sub/file)" inside

say "several sources, of all kinds"
context mixed <<END
FROM scratch
ADD one $url/hello.txt two /all/
END
echo 1 >"$context/one" && echo 2 >"$context/two"
build "$context"
for name in one two hello.txt; do
	has "$name" "$(list)" "all/$name"
done

say "credentials from secrets"
echo "top" >"$web/private.txt"
context private <<END
FROM scratch
ADD $url/private/private.txt /
END
status 1 "$CBUILD" build "$context"
has "denied" "$out" 401
token=s3cret-token build --secret "id=HTTP_AUTH_TOKEN_${url#http://},env=token" "$context"
is "token" "$(cat_ /private.txt)" top
hasnt "the token is nowhere" "$out" s3cret-token

# ---- git ------------------------------------------------------------------------------------------------------------

repos=$work/repos
export GIT_CONFIG_GLOBAL=$work/gitconfig GIT_AUTHOR_DATE="@1600000000 +0000" GIT_COMMITTER_DATE="@1600000000 +0000"
git config --global user.name tester
git config --global user.email tester@example.com
git config --global init.defaultBranch main
git config --global protocol.file.allow always
mkdir -p "$repos"
git init -q "$repos/lib.git" && (cd "$repos/lib.git" && echo lib >lib.txt && git add . && git commit -qm lib)
git init -q "$repos/app.git"
(
	cd "$repos/app.git"
	mkdir -p sub/deep
	echo one >file
	echo '#!/bin/sh' >tool && chmod 755 tool
	echo deep >sub/deep/file
	printf 'FROM scratch\nCOPY . /\n' >Buildfile
	printf 'FROM scratch\nCOPY deep /sub\n' >sub/Dockerfile
	git add . && git commit -qm one && git tag v1 && git tag -a -m annotated v1-annotated
	git checkout -q -b other && echo other >file && git commit -qam other && git checkout -qf main
)
first=$(git -C "$repos/app.git" rev-parse v1)
for _ in $(seq 20); do
	port=$((20000 + RANDOM % 20000))
	git daemon --listen=127.0.0.1 --port=$port --base-path="$repos" --export-all --reuseaddr "$repos" 2>"$work/daemon.log" &
	daemon_pid=$!
	for _ in $(seq 40); do
		git ls-remote "git://127.0.0.1:$port/app.git" >/dev/null 2>&1 && break 2
		kill -0 "$daemon_pid" 2>/dev/null || break
		sleep 0.05
	done
	kill "$daemon_pid" 2>/dev/null || true
done
app=git://127.0.0.1:$port/app.git
(
	cd "$repos/app.git"
	git -c protocol.git.allow=always submodule --quiet add "git://127.0.0.1:$port/lib.git" vendor
	git commit -qm submodule
)

# What the user's configuration says does not count.
mkdir -p "$work/hooks"
printf '#!/bin/sh\ntouch %s/hooked\n' "$work" >"$work/hooks/post-checkout"
chmod 755 "$work/hooks/post-checkout"
git config --global core.hooksPath "$work/hooks"

say "ADD of a repository"
context git <<END
FROM scratch
ADD $app /head
ADD $app#v1 /tag
ADD $app#v1-annotated:sub /annotated
ADD $app?branch=other /branch
ADD $app?tag=v1&subdir=sub/deep /query
ADD $app#$first /commit
ADD --keep-git-dir=true $app#v1 /kept
ADD $app?submodules=false /bare
END
(umask 077 && build "$context")
is "branch" "$(cat_ /branch/file)" other
is "tag" "$(cat_ /tag/file)" one
is "subdirectory" "$(cat_ /annotated/deep/file)" deep
is "query" "$(cat_ /query/file)" deep
is "commit" "$(cat_ /commit/file)" one
is "submodule" "$(cat_ /head/vendor/lib.txt)" lib
has "modes" "$(list)" "f 0o644 0:0 4 tag/file"
has "modes of programs" "$(list)" "f 0o755 0:0 10 tag/tool"
hasnt "no .git" "$(list | grep -v kept/)" ".git/"
hasnt "no .git of a submodule" "$(list)" "vendor/.git"
has "kept .git" "$(list)" "kept/.git/HEAD"
hasnt "submodules=false" "$(list)" "bare/vendor/lib.txt"
[ ! -e "$work/hooked" ] || fail "a hook ran"
git config --global --unset core.hooksPath

say "commits are looked up again, and kept"
build "$context"
has "cached" "$out" CACHED
(cd "$repos/app.git" && git checkout -q other && echo newer >file && git commit -qam newer && git checkout -qf main)
build "$context"
is "the branch moved" "$(cat_ /branch/file)" newer
is "the tag did not" "$(cat_ /tag/file)" one

say "checksums of commits"
printf 'FROM scratch\nADD --checksum=%s %s#v1 /\n' "${first:0:12}" "$app" >"$context/Buildfile"
build "$context"
printf 'FROM scratch\nADD --checksum=%s %s#other /\n' "${first:0:12}" "$app" >"$context/Buildfile"
status 1 "$CBUILD" build "$context"
has "other commit" "$out" "expected commit ${first:0:12}"
has "place" "$out" "Buildfile:2"

say "bounds of what is fetched"
head -c 300000 /dev/urandom >"$web/big.bin"
printf 'FROM scratch\nADD %s/big.bin /\n' "$url" >"$context/Buildfile"
status 1 "$CBUILD" build --fetch-limit 200k "$context"
has "URL: size" "$out" "it is larger than 205kB"
has "URL: what to do" "$out" "--fetch-limit SIZE allows more"
has "URL: place" "$out" "Buildfile:2"
status 1 "$CBUILD" build --fetch-limit 299999 "$context"
build --fetch-limit 300000 "$context"
# Without a length in its header, and slowly.
printf 'FROM scratch\nADD %s/endless /\n' "$url" >"$context/Buildfile"
status 1 "$CBUILD" build --fetch-limit 200k "$context"
has "URL without a length: size" "$out" "it is larger than 205kB"
printf 'FROM scratch\nADD %s/drip /\n' "$url" >"$context/Buildfile"
status 124 "$CBUILD" build --fetch-timeout 1s "$context"
has "URL: time" "$out" "it takes too long"
has "URL: whose time" "$out" "--fetch-timeout is 1s"
(
	cd "$repos/app.git"
	git checkout -q -b large v1
	# Little to transfer, much to check out; and much of many.
	head -c 8000000 /dev/zero >zeros
	git add zeros && git commit -qm zeros
	git checkout -q -b many v1
	for n in $(seq 40); do head -c 50000 /dev/urandom >"noise-$n"; done
	git add noise-* && git commit -qm noise && git checkout -qf main
)
for branch in large many; do
	printf 'FROM scratch\nADD %s#%s /\n' "$app" "$branch" >"$context/Buildfile"
	status 1 "$CBUILD" build --fetch-limit 1m "$context"
	has "git, $branch: size" "$out" "it is larger than 1.05MB"
	has "git, $branch: what to do" "$out" "--fetch-limit SIZE allows more"
	has "git, $branch: place" "$out" "Buildfile:2"
	build --fetch-limit 20m "$context"
done
status 124 "$CBUILD" build --fetch-timeout 1s "$url/silent/slow.git"
has "git: time" "$out" "it takes too long"
has "git: whose time" "$out" "--fetch-timeout is 1s"
status 2 "$CBUILD" build --fetch-limit much "$context"
status 2 "$CBUILD" build --fetch-timeout soon "$context"

say "what git must not be given"
for bad in '#--upload-pack=touch' '#a..b' '?ref=-x' '#nosuch' '?tag=v1&branch=x' '?what=1' '#v1:nosuchdir'; do
	printf 'FROM scratch\nADD %s%s /\n' "$app" "$bad" >"$context/Buildfile"
	status 1 "$CBUILD" build "$context"
	has "$bad: place" "$out" "Buildfile:2"
done

# ---- contexts -------------------------------------------------------------------------------------------------------

say "git contexts"
build "$app"
is "whole" "$(cat_ /file)" one
build "$app#v1:sub"
is "subdirectory" "$(cat_ /sub/file)" deep
status 1 "$CBUILD" build -f nosuch "$app"
has "no such file there" "$out" "no nosuch in the context"

say "commands that build nothing fetch, too"
(
	cd "$repos/app.git"
	git checkout -q -b fragments v1
	printf 'FROM scratch\nINCLUDE sub/more\n' >Buildfile
	printf 'COPY file /included\nINCLUDE deep/../env\n' >sub/more
	printf 'ENV greeting hello\n' >sub/env
	git add Buildfile sub && git commit -qm fragments && git checkout -qf main
)
build "$app#fragments"
is "INCLUDE in a repository" "$(cat_ /included) $(oci_config "$work/out.tar" '.config.Env[-1]')" "one greeting=hello"
cb graph "$app#fragments"
has "graph" "$out" "COPY file /included"
status 1 "$CBUILD" check "$app#fragments"
has "check, in the file that has it" "$out" "sub/env:1"
status 0 "$CBUILD" build --call=targets "$app#fragments"
status 1 "$CBUILD" graph "$app#nosuch"
has "no such branch" "$out" 'has no ref "nosuch"'

say "-f URL"
printf 'FROM scratch\nCOPY file /from-url\nINCLUDE more\n' >"$web/Remote.Buildfile"
mkdir -p "$work/local"
echo local >"$work/local/file"
printf 'ENV a=b\n' >"$work/local/more"
build -f "$url/Remote.Buildfile" "$work/local"
is "its context is local" "$(cat_ /from-url) $(oci_config "$work/out.tar" '.config.Env[-1]')" "local a=b"
cb check -f "$url/Remote.Buildfile" "$work/local"
cb graph -f "$url/Remote.Buildfile" "$work/local"
has "graph" "$out" "COPY file /from-url"
status 1 "$CBUILD" build -f "$url/nothing" "$work/local"
has "not there" "$out" 404

say "standard input"
mkdir -p "$work/in"
printf 'FROM scratch\nCOPY data /\n' >"$work/in/Buildfile"
printf 'data\n' >"$work/in/.dockerignore"
echo streamed >"$work/in/data"
for filter in cat gzip bzip2 xz zstd; do
	command -v $filter >/dev/null || continue
	tar -C "$work/in" --owner=1234 -c . | $filter -c >"$work/in.tar.x" 2>/dev/null ||
		tar -C "$work/in" --owner=1234 -cf "$work/in.tar.x" .
	"$CBUILD" build -o "type=oci,dest=$work/out.tar" - <"$work/in.tar.x" >"$work/.out" 2>&1 ||
		fail "$filter: $(cat "$work/.out")"
	is "tar through $filter" "$(cat_ /data)" streamed
	has "owner" "$(list)" "0:0 9 data"
done
printf 'FROM scratch\nADD %s/hello.txt /\n' "$url" | "$CBUILD" build -o "type=oci,dest=$work/out.tar" - >"$work/.out" 2>&1 ||
	fail "Buildfile on standard input: $(cat "$work/.out")"
is "plain Buildfile" "$(cat_ /hello.txt)" hello
printf 'FROM scratch\nCOPY data /stdin\n' | "$CBUILD" build -f - -o "type=oci,dest=$work/out.tar" "$work/tree/sub/.." >"$work/.out" 2>&1 &&
	fail "data is not there"
echo here >"$work/tree/data"
printf 'FROM scratch\nCOPY data /stdin\n' | "$CBUILD" build -f - -o "type=oci,dest=$work/out.tar" "$work/tree" >"$work/.out" 2>&1 ||
	fail "-f -: $(cat "$work/.out")"
is "-f -" "$(cat_ /stdin)" here
status 1 "$CBUILD" build - # empty
has "nothing on standard input" "$out" "standard input is empty"

say "-f outside of the context, and its ignore file"
mkdir -p "$work/outside"
printf 'FROM scratch\nCOPY . /\n' >"$work/outside/My.Buildfile"
printf 'sub\n' >"$work/outside/My.Buildfile.dockerignore"
build -f "$work/outside/My.Buildfile" "$work/tree"
hasnt "ignored" "$(list)" sub/file
context beside <<'END'
FROM scratch
COPY . /
END
echo x >"$context/x" && echo y >"$context/y"
echo y >"$context/.dockerignore" && echo x >"$context/Buildfile.dockerignore"
build "$context"
hasnt "Buildfile.dockerignore counts" "$(list)" " x"
has "and replaces" "$(list)" " y"

say "URLs as contexts"
tar -C "$work/in" -cJf "$web/context.tar.xz" .
build "$url/context.tar.xz"
is "archive" "$(cat_ /data)" streamed
printf 'FROM scratch\nADD %s/hello.txt /from-url\n' "$url" >"$web/Buildfile.txt"
build "$url/Buildfile.txt"
is "Buildfile" "$(cat_ /from-url)" hello
head -c 4096 /dev/zero >"$web/zeros"
status 1 "$CBUILD" build "$url/zeros"
has "neither" "$out" "neither an archive nor a Buildfile"

say "hostile archives"
python3 - "$work/evil.tar" "$work" <<'END'
import io, sys, tarfile
with tarfile.open(sys.argv[1], "w") as tar:
    def add(name, data=b"x", **kw):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        for k, v in kw.items():
            setattr(info, k, v)
        tar.addfile(info, io.BytesIO(data))
    add("Buildfile", b"FROM scratch\nCOPY . /\n")
    add("link", b"", type=tarfile.SYMTYPE, linkname=sys.argv[2])
    add("link/escaped")
    add("../escaped2")
END
"$CBUILD" build - <"$work/evil.tar" >"$work/.out" 2>&1 || true
[ ! -e "$work/escaped" ] && [ ! -e "$work/escaped2" ] || fail "an archive left its directory"
checks=$((checks + 1))

say "named contexts"
mkdir -p "$work/named" && echo named >"$work/named/f" && echo no >"$work/named/g" && echo g >"$work/named/.dockerignore"
context named <<'END'
FROM scratch AS stage
COPY Buildfile /f
FROM scratch
COPY --from=stage /f /a
COPY --from=other / /b/
END
build --build-context stage="$work/named" --build-context other="$url/tree.tar.gz" "$context"
is "a context hides a stage" "$(cat_ /a)" named
is "an archive" "$(cat_ /b/sub/file)" inside
build --build-context stage="$work/named" --build-context other="$app#v1:sub" "$context"
is "a repository" "$(cat_ /b/deep/file)" deep
build --build-context stage="$work/named" --build-context other="$url/hello.txt" "$context"
is "a file" "$(cat_ /b/hello.txt)" hello
printf 'FROM base\nCOPY --from=base /f /again\n' >"$context/Buildfile"
build --build-context base="$work/named" "$context"
is "FROM a context" "$(cat_ /again)" named
hasnt "its own .dockerignore" "$(list)" " g"
machine=$(uname -m)
case $machine in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=$machine ;; esac
build --build-context "base::linux/$arch=$work/named" --build-context base=/nonexistent "$context"
is "for a platform" "$(cat_ /again)" named
status 1 "$CBUILD" build --build-context "base::linux/s390x=$work/named" --build-context base=/nonexistent "$context"
has "not for another one" "$out" nonexistent
printf 'FROM scratch\nCOPY f /\n' >"$work/named/Buildfile"
cb build -o "type=oci,dest=$work/layout,tar=false" "$work/named"
build --build-context "base=oci-layout://$work/layout" "$context"
is "an OCI layout" "$(cat_ /again)" named
status 2 "$CBUILD" build --build-context x=ftp://host/ "$context"
has "unknown kind" "$out" "unknown kind of context"
printf 'FROM example.com/some/image:latest\nCOPY --from=example.com/some/image /f /again\n' >"$context/Buildfile"
build --build-context "example.com/some/image=$work/named" "$context"
is "name of an image" "$(cat_ /again)" named
printf 'FROM empty\nCOPY Buildfile /x\n' >"$context/Buildfile"
build --build-context empty=docker-image://scratch "$context"
has "scratch" "$(list)" " x"

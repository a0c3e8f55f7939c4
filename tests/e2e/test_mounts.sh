# users: any
# RUN --mount: bind, cache, tmpfs, secret, ssh; what is mounted works and leaves no trace.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
agent_pid=
at_end() { [ -z "$agent_pid" ] || kill "$agent_pid"; }
push_busybox
base=$registry/busybox
build() { cb build -o "type=oci,dest=$work/out.tar" "$@"; }
list() { oci_list "$work/out.tar"; }
cat_() { oci_file "$work/out.tar" "$1"; }

say "bind"
context bind <<END
FROM $base AS stage
RUN mkdir -p /s/dir && echo stage >/s/dir/f && echo top >/s/top
FROM $base
WORKDIR /work
RUN --mount=target=/ctx cat /ctx/sub/file >/from-context
RUN --mount=type=bind,source=sub,target=relative cat relative/file >/relative-target
RUN --mount=type=bind,source=sub/file,target=/one/file cat /one/file >/one-file
RUN --mount=from=stage,source=/s,target=/s cat /s/dir/f >/from-stage
RUN --mount=from=$base,source=/etc,target=/other-etc cat /other-etc/passwd >/from-image
RUN --mount=from=named,target=/n cat /n/hello >/from-named
RUN --mount=target=/ctx touch /ctx/new 2>/dev/null && exit 1 || true
RUN --mount=target=/ctx,rw echo scribble >/ctx/new && echo over >/ctx/sub/file && cat /ctx/sub/file >/rw
RUN --mount=target=/ctx cat /ctx/sub/file >/rw-after && ! test -e /ctx/new
RUN --mount=from=stage,target=/st,rw echo x >/st/s/top && rm -r /st/s/dir
RUN --mount=from=stage,target=/st cat /st/s/top /st/s/dir/f >/stage-after
RUN --mount=target=/a/b/c/d true
RUN --mount=source=link,target=/l cat /l >/link
RUN --mount=from=stage,source=/s,target=/t --mount=source=sub,target=/t cat /t/file >/later-wins
RUN --mount=from=stage,source=/s,target=/var cat /var/top >/shadow
ARG DIR=sub
RUN --mount=source=\$DIR,target=/\${DIR}x cat /subx/file >/variable
END
mkdir -p "$context/sub" "$work/named" && echo context >"$context/sub/file" && ln -s sub/file "$context/link" && echo hello >"$work/named/hello"
build --build-context named="$work/named" "$context"
is "context" "$(cat_ /from-context)" context
is "relative target" "$(cat_ /relative-target)" context
is "a file" "$(cat_ /one-file)" context
is "stage" "$(cat_ /from-stage)" stage
has "image" "$(cat_ /from-image)" root:x:0:0
is "named context" "$(cat_ /from-named)" hello
is "rw sees its writes" "$(cat_ /rw)" over
is "rw is discarded" "$(cat_ /rw-after)" context
is "rw of a stage is discarded" "$(cat_ /stage-after)" "$(printf 'top\nstage')"
is "symlink" "$(cat_ /link)" context
is "of two the later" "$(cat_ /later-wins)" context
is "over a directory that is there" "$(cat_ /shadow)" top
is "variables" "$(cat_ /variable)" context
for stub in ctx one a/b "a " s/ other-etc n/ st/ work/relative subx " l" " t"; do
	hasnt "no stub" "$(list | grep -v bin/)" " $stub
"
	hasnt "no stub below" "$(list | grep -v bin/)" " ${stub%/}/"
done
has "what was there stays" "$(list)" "etc/passwd"

say "the layer of a step that only mounts is empty"
context stubs <<END
FROM $base
RUN --mount=target=/deep/er/est true
RUN --mount=type=tmpfs,target=/var/x/y touch /var/x/y/z
RUN --mount=type=cache,target=/var/c touch /var/c/z
END
build "$context"
layers=$(python3 - "$work/out.tar" <<'END'
import sys, tarfile, json, io, gzip
image = tarfile.open(sys.argv[1])
read = lambda d: image.extractfile("blobs/" + d.replace(":", "/")).read()
manifest = json.loads(read(json.load(image.extractfile("index.json"))["manifests"][0]["digest"]))
for layer in manifest["layers"][1:]:
    print(sorted(m.name for m in tarfile.open(fileobj=io.BytesIO(gzip.decompress(read(layer["digest"]))))))
END
)
is "no entries" "$layers" "$(printf '[]\n[]\n[]')"

say "where a target has to be made in the image, the times of its directory stay"
context times <<END
FROM $base
RUN mkdir /old
RUN rm -r /old && mkdir -p /old/deep/sub /old/busy && touch -d @1000000000 /old/deep/sub /old/deep /old/busy /old
RUN --mount=type=tmpfs,target=/old/deep/mnt/one --mount=type=tmpfs,target=/old/deep/two --mount=type=tmpfs,target=/old/busy/mnt \\
	stat -c %Y /old/deep /old/busy >/seen && echo x >/old/deep/sub/file && touch -d @1100000000 /old/busy
END
build "$context"
is "as the command sees them" "$(cat_ /seen)" "$(printf '1000000000\n1000000000')"
times() {
	python3 - "$work/out.tar" <<'END'
import sys, tarfile, json, io, gzip
image = tarfile.open(sys.argv[1])
read = lambda d: image.extractfile("blobs/" + d.replace(":", "/")).read()
manifest = json.loads(read(json.load(image.extractfile("index.json"))["manifests"][0]["digest"]))
for member in tarfile.open(fileobj=io.BytesIO(gzip.decompress(read(manifest["layers"][-1]["digest"])))):
    print(member.name, int(member.mtime))
END
}
has "not changed by us" "$(times)" "old/deep 1000000000"
hasnt "no target is left" "$(times)" "mnt"
hasnt "nor the other" "$(times)" "two"

say "mounts over /etc"
context etc <<END
FROM $base
RUN --mount=source=sub,target=/etc cat /etc/file >/from-etc && ! test -e /etc/hosts
RUN --mount=source=sub,target=/etc,rw test -s /etc/hosts && cat /etc/file >>/from-etc
RUN --mount=type=tmpfs,target=/etc test -s /etc/resolv.conf && echo tmpfs >>/from-etc
RUN test -s /etc/hosts && cat /etc/passwd >/passwd
END
mkdir "$context/sub" && echo context >"$context/sub/file"
build "$context"
is "each is what it says" "$(cat_ /from-etc)" "$(printf 'context\ncontext\ntmpfs')"
has "and the image's is as it was" "$(cat_ /passwd)" root:x:0:0

say "what a bind mount shows counts for the cache, and nothing else does"
context key <<END
FROM $base
RUN --mount=source=used,target=/u cat /u && echo ran-\$(echo it)
END
echo 1 >"$context/used" && echo 1 >"$context/unused"
build "$context"
has "ran" "$out" ran-it
echo 2 >"$context/unused"
build "$context"
hasnt "cached" "$out" ran-it
echo 2 >"$context/used"
build "$context"
has "ran again" "$out" ran-it

say "cache"
context cache <<END
FROM $base AS seed
RUN mkdir -p /seed/sub && echo seeded >/seed/sub/f && echo top >/seed/top
FROM $base
RUN --mount=type=cache,target=/c echo kept >/c/f
RUN --mount=type=cache,target=/c cat /c/f >/again
RUN --mount=type=cache,target=/c/ cat /c/f >/clean-target
RUN --mount=type=cache,id=/c,target=/other cat /other/f >/by-id
RUN --mount=type=cache,target=/c,id=else ls /c >/else
RUN --mount=type=cache,id=owned,target=/o,uid=1000,gid=1000,mode=0750 stat -c '%u:%g %a' /o >/owned
RUN --mount=type=cache,id=owned,target=/o stat -c '%u:%g %a' /o >/not-owned
RUN --mount=type=cache,id=def,target=/o stat -c '%u:%g %a' /o >/default-owner
RUN --mount=type=cache,id=s1,from=seed,source=/seed,target=/o cat /o/top /o/sub/f >/seeded && echo more >/o/more
RUN --mount=type=cache,id=s1,from=seed,source=/seed,target=/o cat /o/more >/seeded-kept
RUN --mount=type=cache,id=s2,from=seed,source=/seed/sub,target=/o ls /o >/seeded-sub
RUN --mount=type=cache,id=ro,target=/o,ro touch /o/x 2>/dev/null && exit 1 || true
RUN --mount=type=cache,id=l,target=/o,sharing=locked echo 1 >/o/f
RUN --mount=type=cache,id=p,target=/o,sharing=private echo 1 >/o/f
RUN --mount=type=cache,id=two,target=/x --mount=type=cache,id=two,target=/y echo same >/x/f && cat /y/f >/two
RUN --mount=type=cache,id=nested,target=/o --mount=type=tmpfs,target=/o/t touch /o/t/x /o/y
RUN --mount=type=cache,id=nested,target=/o test -e /o/y && ! test -e /o/t/x
END
build "$context"
is "kept" "$(cat_ /again)" kept
is "id is the cleaned target" "$(cat_ /clean-target)" kept
is "id" "$(cat_ /by-id)" kept
is "another id" "$(cat_ /else)" ""
is "owner and mode" "$(cat_ /owned)" "1000:1000 750"
is "another owner, another cache" "$(cat_ /not-owned)" "0:0 755"
is "default owner" "$(cat_ /default-owner)" "0:0 755"
is "from" "$(cat_ /seeded)" "$(printf 'top\nseeded')"
is "from, later" "$(cat_ /seeded-kept)" more
is "from and source" "$(cat_ /seeded-sub)" f
is "twice in a step" "$(cat_ /two)" same
hasnt "not in the image" "$(list)" " c/f"

say "sharing"
context sharing <<END
FROM $base AS a
RUN --mount=type=cache,id=lock,target=/c,sharing=locked test ! -e /c/busy && touch /c/busy && sleep 0.5 && rm /c/busy && touch /a
FROM $base AS b
RUN --mount=type=cache,id=lock,target=/c,sharing=locked test ! -e /c/busy && touch /c/busy && sleep 0.5 && rm /c/busy && touch /b
FROM $base AS c
RUN --mount=type=cache,id=priv,target=/c,sharing=private test ! -e /c/busy && touch /c/busy && sleep 0.5 && rm /c/busy && touch /c1
FROM $base AS d
RUN --mount=type=cache,id=priv,target=/c,sharing=private test ! -e /c/busy && touch /c/busy && sleep 0.5 && rm /c/busy && touch /d
FROM $base AS e
RUN --mount=type=cache,id=shared,target=/c touch /c/e; for i in 1 2 3 4 5 6 7 8 9; do test -e /c/f && break; sleep 0.3; done; test -e /c/f && touch /e
FROM $base AS f
RUN --mount=type=cache,id=shared,target=/c touch /c/f; for i in 1 2 3 4 5 6 7 8 9; do test -e /c/e && break; sleep 0.3; done; test -e /c/e && touch /f
FROM scratch
COPY --from=a /a /
COPY --from=b /b /
COPY --from=c /c1 /
COPY --from=d /d /
COPY --from=e /e /
COPY --from=f /f /
END
build -j 8 "$context"
is "all ended well" "$(list | wc -l)" 6

say "tmpfs"
context tmpfs <<END
FROM $base
RUN --mount=type=tmpfs,target=/t,size=1m df -k /t | tail -1 | awk '{print \$2}' >/size && echo x >/t/x
RUN --mount=type=tmpfs,target=/t test ! -e /t/x
RUN --mount=type=tmpfs,target=/dev/shm,size=2m df -k /dev/shm | tail -1 | awk '{print \$2}' >/shm
RUN --mount=type=tmpfs,target=/etc ls /etc | grep -v -e hosts -e resolv.conf >/etc-in-it || true
RUN test -e /etc/passwd
RUN --mount=type=tmpfs,target=/t,ro ! touch /t/x 2>/read-only
RUN --mount=type=tmpfs,target=/t,readonly=false touch /t/x
END
build "$context"
is "size" "$(cat_ /size)" 1024
has "read-only" "$(cat_ /read-only)" "Read-only file system"
is "size of /dev/shm" "$(cat_ /shm)" 2048
is "hides" "$(cat_ /etc-in-it)" ""
hasnt "nothing of it stays" "$(list)" " t/x"

say "secret"
echo -n hush-4711 >"$work/secret"
context secret <<END
FROM $base
RUN --mount=type=secret,id=s1 cat /run/secrets/s1 >/dev/null && stat -c '%u:%g %a' /run/secrets/s1 >/stat
RUN --mount=type=secret,id=s1,target=/x/y,mode=0440,uid=1000,gid=10 stat -c '%u:%g %a' /x/y >/stat2 && grep -q ^hush- /x/y
RUN --mount=type=secret,target=/root/s1 grep -q ^hush- /root/s1
RUN --mount=type=secret,source=s1,target=z grep -q ^hush- /z
RUN --mount=type=secret,id=s1,env=TOKEN test "\${TOKEN%-*}" = hush && ! test -e /run/secrets/s1
RUN --mount=type=secret,id=s1,env=TOKEN,target=/t test "\${TOKEN%-*}" = hush && grep -q hush /t
RUN --mount=type=secret,id=nosuch ! test -e /run/secrets/nosuch
RUN --mount=type=secret,id=nosuch,env=EMPTY test -z "\$EMPTY" && env | grep -q ^EMPTY=
RUN --mount=type=secret,id=fromenv grep -q ^quiet- /run/secrets/fromenv
RUN env >/env; test -z "\$TOKEN"
RUN grep -r -e hush /run /x /root 2>/dev/null && exit 1 || true
END
fromenv=quiet-4712 build --secret "id=s1,src=$work/secret" --secret id=fromenv "$context"
is "owner and mode" "$(cat_ /stat)" "0:0 400"
is "of its own" "$(cat_ /stat2)" "1000:10 440"
for word in hush-4711 quiet-4712; do
	hasnt "no secret in config or history" "$(oci_config "$work/out.tar" .)" "$word"
	hasnt "no secret in a later step" "$(cat_ /env)" "$word"
done
hasnt "no stub" "$(list)" "run/secrets"
hasnt "no stub" "$(list)" " x/"
echo -n louder >"$work/secret"
fromenv=quiet-4712 build --secret "id=s1,src=$work/secret" --secret id=fromenv "$context"
has "the value is not in the key" "$out" CACHED
printf 'FROM %s\nRUN --mount=type=secret,id=nosuch,required=true true\n' "$base" >"$context/Buildfile"
status 1 "$CBUILD" build "$context"
has "required" "$out" "secret nosuch: not found"
has "place" "$out" "Buildfile:2"

say "what is refused"
for bad in "target=/" "type=cache" "type=secret,from=x,id=y" "type=ssh,source=x" "type=bind,target=/x,sharing=locked" \
	"type=tmpfs,target=/x,uid=1" "type=nosuch,target=/x" "type=bind,target=/x,nosuch=1" "target=/x,source=missing" \
	"type=cache,target=/x,from=$base,source=/nosuch" "from=nosuch.invalid:1/x,target=/x"; do
	printf 'FROM %s\nRUN --mount=%s true\n' "$base" "$bad" >"$context/Buildfile"
	got=0
	"$CBUILD" build "$context" >"$work/.out" 2>&1 || got=$?
	[ "$got" != 0 ] || fail "--mount=$bad was taken"
	has "--mount=$bad: place" "$(cat "$work/.out")" "Buildfile:2"
done

say "ssh"
if command -v ssh-agent >/dev/null && command -v ssh-keygen >/dev/null && command -v cc >/dev/null; then
	ssh-keygen -q -t ed25519 -N '' -C test-key -f "$work/key"
	eval "$(ssh-agent -s -a "$work/agent.sock")" >/dev/null
	agent_pid=$SSH_AGENT_PID
	ssh-add -q "$work/key"
	context ssh <<END
FROM $base
COPY ask /bin/
RUN --mount=type=ssh test "\$SSH_AUTH_SOCK" = /run/buildkit/ssh_agent.0 && test -S "\$SSH_AUTH_SOCK" && stat -c '%u:%g %a' "\$SSH_AUTH_SOCK" >/stat
RUN --mount=type=ssh ask 11 "\$SSH_AUTH_SOCK" >/keys
RUN --mount=type=ssh ask 19 "\$SSH_AUTH_SOCK" >/remove
RUN --mount=type=ssh ask 11 "\$SSH_AUTH_SOCK" >/keys-after
RUN --mount=type=ssh,id=own,target=/tmp/own.sock,uid=1000,mode=0666 stat -c '%u:%g %a' /tmp/own.sock >/stat2 && ask 11 /tmp/own.sock >/keys-own
RUN --mount=type=ssh,id=nosuch test -z "\$SSH_AUTH_SOCK"
RUN --mount=type=ssh --mount=type=ssh,id=own test -S /run/buildkit/ssh_agent.1 && test "\$SSH_AUTH_SOCK" = /run/buildkit/ssh_agent.0
RUN test -z "\$SSH_AUTH_SOCK" && test ! -e /run/buildkit
END
	cc -static -o "$work/ask" "$here/ask.c"
	cp "$work/ask" "$context/"
	build --ssh default --ssh "own=$work/key" "$context"
	is "owner and mode" "$(cat_ /stat)" "0:0 600"
	is "of its own" "$(cat_ /stat2)" "1000:0 666"
	has "keys are listed" "$(cat_ /keys)" " 12 0 0 0 1 "
	has "removing them is refused" "$(cat_ /remove)" "0 0 0 1 5"
	has "they are still there" "$(cat_ /keys-after)" " 12 0 0 0 1 "
	has "an agent of our own" "$(cat_ /keys-own)" " 12 0 0 0 1 "
	hasnt "no stub" "$(list)" "run/buildkit"
	build --ssh default --ssh "own=$work/agent.sock" "$context"
	hasnt "agents are not in keys" "$out" ERROR
	has "cached" "$out" CACHED
	printf 'FROM %s\nRUN --mount=type=ssh,required=true true\n' "$base" >"$context/Buildfile"
	status 1 "$CBUILD" build "$context"
	has "required" "$out" "ssh agent default: not found"
	status 1 env -u SSH_AUTH_SOCK "$CBUILD" build --ssh default "$context"
	has "no agent" "$out" "SSH_AUTH_SOCK is not set"
	status 1 "$CBUILD" build --ssh "default=$work/secret" "$context"
	has "no key" "$out" "--ssh default"
	python3 - "$work/echo.sock" <<'END' &
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
while True:
    client, said = server.accept()[0], b""
    while data := client.recv(4096):
        said += data
    client.sendall(b"%d bytes: " % len(said) + said[:20])
    client.close()
END
	echo_pid=$!
	at_end() { kill "$agent_pid" "$echo_pid"; }
	for _ in $(seq 100); do [ -S "$work/echo.sock" ] && break || sleep 0.05; done
	context raw <<END
FROM $base
COPY ask /bin/
RUN --mount=type=ssh,id=echo,required seq 100000 | ask - "\$SSH_AUTH_SOCK" >/answer
END
	cp "$work/ask" "$context/"
	build --ssh "echo=$work/echo.sock,raw=true" "$context"
	has "a raw socket" "$(cat_ /answer)" "588895 bytes: 1"
	status 1 "$CBUILD" build --no-cache --ssh "echo=$work/key,raw=true" "$context"
	has "a raw key" "$out" "is no socket"
	status 2 "$CBUILD" build --ssh "echo=$work/echo.sock,raw=often" "$context"
	status 2 "$CBUILD" build --ssh "echo=raw=true" "$context"
	is "no agent of ours is left" "$(pgrep -u "$(id -u)" -f "$work/store.*own" || true)" ""
else
	say "SKIPPED: no ssh-agent or no C compiler here"
fi

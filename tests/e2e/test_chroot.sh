# Isolation by chroot, where nothing can be mounted: RUN mounts are lent, layers are those of the other rungs, and what cannot
# be given is refused with its name.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need jq
"$CBUILD" doctor --format json | jq -e '.rungs[] | select(.name == "chroot" and .works)' >/dev/null || skip "no chroot here"
push_busybox
base=$registry/busybox
export SOURCE_DATE_EPOCH=1700000000

context same <<END
FROM $base AS base
RUN mkdir -p /etc/d /nowhere /old && echo kept >/etc/d/kept && echo file >/etc/file && ln -s nowhere/deep /link && touch -d @1000000000 /old /etc
FROM base
RUN --mount=target=/ctx,rw [ "\$(cat /ctx/sub/f)" = hello ] && echo x >/ctx/new && (ln /ctx/sub/f /linked 2>/dev/null || cp /ctx/sub/f /linked)
RUN --mount=source=sub/f,target=/etc/file [ "\$(cat /etc/file)" = hello ]
RUN [ ! -e /ctx ] && [ "\$(cat /etc/file)" = file ]
RUN --mount=type=cache,target=/c/a --mount=type=tmpfs,target=/etc/d --mount=from=base,target=/b,source=/etc \
	touch /c/a/one && [ ! -e /etc/d/kept ] && touch /etc/d/x && cmp /b/file /etc/file && (ln /c/a/one /hard 2>/dev/null || cp /c/a/one /hard)
RUN --mount=type=cache,target=/c/a [ -e /c/a/one ] && echo more >>/c/a/one && mkdir /c/a/dir && touch /c/beside && ln /c/a/one /c/a/two
RUN --mount=type=cache,target=/c/a [ "\$(cat /c/a/two)" = more ] && [ ! -s /hard ] && [ -e /etc/d/kept ] && rm -r /c/a/dir && mv /c/a/two /moved
RUN --mount=type=cache,target=/c/a [ ! -e /c/a/dir ] && [ ! -e /c/a/two ] && echo even >>/c/a/one && [ "\$(cat /moved)" = more ]
RUN --mount=type=cache,target=/link touch /link/in
RUN --mount=type=cache,target=/n/e/w,uid=5,gid=6,mode=0700 [ "\$(stat -c %a:%u:%g /n/e/w)" = 700:5:6 ]
RUN --mount=type=cache,id=seeded,from=base,source=/etc/d,target=/s [ "\$(cat /s/kept)" = kept ] && echo >/s/more
RUN --mount=type=cache,id=seeded,from=base,source=/etc/d,target=/s [ -e /s/more ]
RUN --mount=type=secret,id=s,target=/c/a/secret --mount=type=cache,target=/c/a grep -q ^hush- /c/a/secret
RUN --mount=type=cache,target=/c/a [ ! -s /c/a/secret ]
RUN --mount=type=tmpfs,target=/old/deep/mnt --mount=source=sub,target=/old/mnt [ "\$(stat -c %Y /old)" = 1000000000 ] && touch /old/deep/mnt/x
RUN --mount=source=sub,target=/t --mount=type=tmpfs,target=/t [ -z "\$(ls /t)" ]
RUN --mount=source=sub,target=/etc [ "\$(cat /etc/f)" = hello ]
RUN <<END2
#!/bin/sh
echo script >/from-script
END2
END
mkdir -p "$context/sub"
echo hello >"$context/sub/f"
chmod 644 "$context/sub/f"
chmod 755 "$context/sub"
echo -n hush-4711 >"$work/secret"
CBUILD_ROOT=$work/auto cb build --progress plain --secret "id=s,src=$work/secret" -o "type=oci,dest=$work/auto.tar,rewrite-timestamp=true" "$context"
want=$(tar -xOf "$work/auto.tar" index.json | jq -r '.manifests[0].digest')
build() { cb build --isolation chroot --progress plain "$@"; }
build --secret "id=s,src=$work/secret" -o "type=oci,dest=$work/chroot.tar,rewrite-timestamp=true" "$context"
if [ "$(tar -xOf "$work/chroot.tar" index.json | jq -r '.manifests[0].digest')" != "$want" ]; then
	fail "not the same image: $(python3 "$here/image_diff.py" diff "$work/auto.tar" "$work/chroot.tar" || true)"
fi
is "nothing is left" "$(ls "$CBUILD_ROOT/tmp")" ""

say "caches keep what failed steps did, and steps take turns"
context caches <<END
FROM $base AS a
RUN --mount=type=cache,id=turn,target=/c [ ! -e /c/busy ] && touch /c/busy && sleep 0.3 && rm /c/busy && touch /a
FROM $base AS b
RUN --mount=type=cache,id=turn,target=/c [ ! -e /c/busy ] && touch /c/busy && sleep 0.3 && rm /c/busy && touch /b
FROM scratch
COPY --from=a /a /
COPY --from=b /b /
END
build -j 4 "$context"
printf 'FROM %s\nRUN --mount=type=cache,target=/c touch /c/f && exit 3\n' "$base" >"$context/Buildfile"
status 1 "$CBUILD" build --isolation chroot "$context"
printf 'FROM %s\nRUN --mount=type=cache,target=/c [ -e /c/f ]\nRUN --mount=type=cache,target=/c,ro touch /c/lost\nRUN --mount=type=cache,target=/c [ ! -e /c/lost ]\n' "$base" >"$context/Buildfile"
build "$context"

say "a killed build loses nothing of a cache"
printf 'FROM %s\nRUN --mount=type=cache,target=/c touch /c/new && sleep 60\n' "$base" >"$context/Buildfile"
"$CBUILD" build --isolation chroot "$context" >/dev/null 2>&1 &
pid=$!
for _ in $(seq 100); do
	[ -z "$(find "$CBUILD_ROOT/tmp" -path '*/fs/c/new' 2>/dev/null)" ] || break
	sleep 0.1
done
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
printf 'FROM %s\nRUN --mount=type=cache,target=/c [ -e /c/f ] && [ ! -e /c/new ]\n' "$base" >"$context/Buildfile"
build "$context"
cb fsck

if command -v ssh-agent >/dev/null && command -v ssh-keygen >/dev/null && command -v cc >/dev/null; then
	say "ssh"
	ssh-keygen -q -t ed25519 -N '' -C test-key -f "$work/key"
	context ssh <<END
FROM $base
COPY ask /bin/
RUN --mount=type=ssh ask && [ "\$(stat -c %a \$SSH_AUTH_SOCK)" = 600 ]
RUN [ ! -e /run/buildkit ]
END
	cat >"$work/ask.c" <<'END'
/* Asks the agent which keys it has: the type and number of the answer. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	unsigned char answer[9] = { 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", getenv("SSH_AUTH_SOCK"));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || write(fd, "\0\0\0\1\13", 5) != 5 ||
		recv(fd, answer, sizeof(answer), MSG_WAITALL) != sizeof(answer))
		return perror("ask"), 1;
	return printf("type %d, keys %d\n", answer[4], answer[8]) < 0;
}
END
	cc -static -o "$context/ask" "$work/ask.c"
	build --ssh "default=$work/key" "$context"
	has "the agent answers" "$out" "type 12, keys 1"
else
	say "SKIPPED: no ssh-agent or no C compiler here"
fi

say "a second chroot would lead out"
printf 'FROM %s\nRUN mkdir /cell && ! chroot / true && ! chroot /cell true\n' "$base" >"$context/Buildfile"
build "$context"
has "is refused" "$out" "can't change root directory to '/': Operation not permitted"

say "what cannot be given"
refuse() {
	printf 'FROM %s\n%s\n' "$base" "$3" >"$context/Buildfile"
	status "$1" "$CBUILD" build --isolation chroot --allow security.insecure --progress plain "$context"
	has "$3" "$out" "$2"
}
refuse 125 "isolation chroot cannot give --network=none" 'RUN --network=none true'
refuse 125 "isolation chroot cannot give --security=insecure" 'RUN --security=insecure true'
refuse 125 "cannot give one cache mount at two targets (/y)" 'RUN --mount=type=cache,id=x,target=/x --mount=type=cache,id=x,target=/y true'
refuse 1 "the step has moved or removed the mount /c" 'RUN --mount=type=cache,target=/c mv /c /d'
refuse 1 "mount on /etc/passwd of the image" 'RUN --mount=type=cache,target=/etc/passwd true'
refuse 1 "/dev/stderr" 'RUN echo lost >/dev/stderr'
printf 'FROM %s\nRUN --mount=type=tmpfs,target=/t,size=1m true\n' "$base" >"$context/Buildfile"
build "$context"
has "said" "$out" "cannot limit the size of the tmpfs /t"
is "nothing is left" "$(ls "$CBUILD_ROOT/tmp")" ""

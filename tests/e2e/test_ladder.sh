# The isolation ladder: the same Buildfile gives the same image on every rung and in every surrounding that this host can
# make, or is refused with a message that says why. Containers are made with crun or runc, the first that works here, and
# with podman.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
. "$CBUILD_SOURCE/tests/e2e/containers.sh"
need unshare jq
is_root || skip "only root can make these surroundings"
busybox_tar

context ladder <<'END'
FROM scratch AS base
ADD busybox.tar /
RUN mkdir -p /d/e && echo a >/d/a && ln /d/a /d/b && chown 3:4 /d/e && chmod 2775 /d/e && echo gone >/gone
FROM base
COPY --chown=5:6 f /f
RUN rm /gone && rm -rf /d/e && mkdir /d/e && touch /d/e/new && echo more >>/d/a && ln -s a /d/link && chown -h 7:8 /d/link
RUN cat /dev/null && echo x >/dev/null && [ -c /dev/zero ] && head -c 4 /dev/urandom | wc -c
RUN --mount=type=secret,id=s [ "$(cat /run/secrets/s)" = secret ]
RUN --mount=target=/ctx --mount=type=cache,target=/c --mount=type=tmpfs,target=/d/t cp /ctx/f /c/f && touch /d/t/x && cp -p /c/f /from-mount
USER user
WORKDIR /home/user
RUN id -u >who && id -G >>who && mkdir d && touch d/mine
USER root
RUN (setsid sleep 600 &) ; (sleep 600 &) ; echo last >/last
END
cp "$work/busybox.tar" "$context/"
touch "$context/f"
chmod 644 "$context/f"
echo secret >"$work/secret"
export SOURCE_DATE_EPOCH=1700000000

# build NAME COMMAND...: a store and an archive of their own; the digest of the image in $digest.
build() {
	local name=$1
	shift
	status 0 "$@" build --isolation "${isolation:-auto}" --progress plain --secret "id=s,src=$work/secret" -o "type=oci,dest=$work/$name.tar,rewrite-timestamp=true" "$context"
	digest=$(tar -xOf "$work/$name.tar" index.json | jq -r '.manifests[0].digest')
}
same() {
	is "$1" "$digest" "$want"
	rm -f "$work/$1.tar"
}

say "the rungs of this host"
build auto env CBUILD_ROOT="$work/store.auto" "$CBUILD"
want=$digest
for isolation in $("$CBUILD" doctor --format json | jq -r '.rungs[] | select(.works) | .name'); do
	build "$isolation" env CBUILD_ROOT="$work/store.$isolation" "$CBUILD"
	same "$isolation"
done
isolation=auto

say "root of a user namespace"
build unshare-r env CBUILD_ROOT="$work/store.unshare-r" unshare -r "$CBUILD"
same unshare-r

say "without a name, without a home"
status 0 env -i PATH="$PATH" CBUILD_ROOT="$work/store.nameless" unshare -m sh -ec "
	mount --bind /dev/null /etc/passwd
	cd '$context' && '$CBUILD' build -q --secret id=s,src='$work/secret' -o type=oci,dest='$work/nameless.tar',rewrite-timestamp=true \
		--build-arg SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH ."
digest=$(tar -xOf "$work/nameless.tar" index.json | jq -r '.manifests[0].digest')
same nameless
say "a home that cannot be written"
build home env HOME=/proc CBUILD_ROOT="$work/store.home" "$CBUILD"
same home

say "control groups that are not delegated"
# shellcheck disable=SC2016 # for the shell inside
hidden='mount -t tmpfs none /sys/fs/cgroup && exec "$@"'
build groups unshare -m sh -c "$hidden" sh env CBUILD_ROOT="$work/store.groups" "$CBUILD"
same groups
status 125 unshare -m sh -c "$hidden" sh env CBUILD_ROOT="$work/store.groups" "$CBUILD" build --memory 64m -q --secret "id=s,src=$work/secret" "$context"
has "a limit is refused, not left out" "$out" "memory"

# --- containers ----------------------------------------------------------------------------------------------------------
container_root
cp -R "$context" "$root/job/context"
cp "$work/secret" "$root/job/secret"
if ! find_runner; then
	say "SKIPPED from here on: neither crun nor runc can make containers here: $(tail -n 1 "$work/probe" 2>/dev/null)"
	exit 0
fi

# inside NAME SECCOMP UID WANTED-ISOLATION [WARNING]: in a container made by $make.
make=contained
inside() {
	rm -rf "$root/job/store" "$root/job/out.tar"
	status 0 "$make" "$1" "$2" "$3" cbuild build --progress plain --secret id=s,src=/job/secret \
		-o type=oci,dest=/job/out.tar,rewrite-timestamp=true /job/context
	[ -z "${5-}" ] || has "$1 says what is less" "$out" "$5"
	digest=$(tar -xOf "$root/job/out.tar" index.json | jq -r '.manifests[0].digest')
	is "$1 gives the same" "$digest" "$want"
	rm -rf "$root/job/store"
	status 0 "$make" "$1" "$2" "$3" cbuild doctor --format json
	is "$1 is on the rung" "$(jq -r .isolation <<<"$out")" "$4"
}

say "a container without privileges, which may make user namespaces but no new /proc"
inside shared null 0 shared "isolation shared"
say "without the library that asks servers"
curl=$(find "$root" -name libcurl.so.4)
mv "$curl" "$work/libcurl"
printf 'FROM localhost:1/nothing\n' >"$root/job/context/remote"
status 125 contained nocurl null 0 cbuild build --progress plain -f /job/context/remote -q /job/context
has "is told" "$out" "libcurl.so.4, without which no server can be asked, cannot be loaded"
mv "$work/libcurl" "$curl"
rm "$root/job/context/remote"
say "openat2 is blocked"
inside openat2 "$no_openat2" 0 shared
say "an ordinary user in it"
inside user null 1000 shared
say "a container that may not make namespaces, nor mount"
inside chroot "$blocked" 0 chroot "isolation chroot"
say "there, what cannot be given is refused"
printf 'FROM scratch\nADD busybox.tar /\nRUN --network=none true\n' >"$root/job/context/none"
status 125 contained none "$blocked" 0 cbuild build --progress plain -f /job/context/none -q /job/context
has "no network" "$out" "isolation chroot cannot give --network=none"
say "and an ordinary user can do nothing"
rm -rf "$root/job/store"
status 125 contained nothing "$blocked" 1000 cbuild build -q /job/context
has "which is told" "$out" "user namespaces cannot be used here"

if ! have_podman; then
	say "SKIPPED: podman cannot make containers here: $(tail -n 1 "$work/probe" 2>/dev/null)"
else
	make=in_podman
	say "podman's default container"
	inside podman null 0 shared "isolation shared"
	say "an ordinary user in it"
	inside podman-user null 1000 shared
	say "with nothing masked"
	inside podman-unmask "--security-opt unmask=ALL" 0 ranges
	say "root without any capability"
	status 125 in_podman podman-nocaps "--cap-drop all" 0 cbuild build -q /job/context
	has "says why" "$out" "root without CAP_SETFCAP cannot map itself"
	say "with the one for itself, but without chroot, which podman's filter then forbids"
	status 125 in_podman podman-setfcap "--cap-drop all --cap-add SETFCAP" 0 cbuild build -q /job/context
	has "says what" "$out" "change root, which the recorder of owners has to"
	say "with both"
	inside podman-two "--cap-drop all --cap-add SETFCAP --cap-add SYS_CHROOT" 0 shared
fi
is "no process is left" "$(pgrep -fc '^sleep 600$' || true)" 0

# The isolation ladder: the same Buildfile gives the same image on every rung and in every surrounding that this host can
# make, or is refused with a message that says why. Containers are made with crun or runc, the first that works here, and
# with podman.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
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

# --- containers: a root directory with cbuild, its libraries and busybox -------------------------------------------------
root=$work/root
mkdir -p "$root"/{bin,proc,sys,dev,tmp,etc,root,job}
cp "$CBUILD" "$root/bin/cbuild"
cp /bin/busybox "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
ldd "$CBUILD" | grep -oE '/[^ ]+' | while read -r library; do
	mkdir -p "$root$(dirname "$library")"
	cp -L "$library" "$root$library"
done
# What is loaded late.
for library in $(ldconfig -p | grep -oE '/[^ ]*/(libcurl|libsqlite3)\.so\.[0-9]+$' || true); do
	[ -e "$root$library" ] || cp -L "$library" "$root$library"
done
cp -R "$context" "$root/job/context"
cp "$work/secret" "$root/job/secret"
chmod 1777 "$root/tmp" "$root/job"
echo 'root:x:0:0::/root:/bin/sh' >"$root/etc/passwd"

caps='["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FSETID","CAP_FOWNER","CAP_MKNOD","CAP_NET_RAW","CAP_SETGID","CAP_SETUID","CAP_SETFCAP","CAP_SETPCAP","CAP_NET_BIND_SERVICE","CAP_SYS_CHROOT","CAP_KILL","CAP_AUDIT_WRITE"]'
blocked='{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
	{"names":["unshare","setns","mount","umount2","pivot_root","fsopen","fsmount","fsconfig","open_tree","move_mount","mount_setattr"],"action":"SCMP_ACT_ERRNO","errnoRet":1},
	{"names":["clone3"],"action":"SCMP_ACT_ERRNO","errnoRet":38},
	{"names":["clone"],"action":"SCMP_ACT_ERRNO","errnoRet":1,"args":[{"index":0,"value":2114060288,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}]}]}'
# The flags of clone: each alone is enough to be refused.
blocked=$(jq -c '.syscalls |= map(if .names == ["clone"] then (268435456, 131072, 536870912) as $flag | .args[0] |= (.value = $flag | .valueTwo = $flag) else . end)' <<<"$blocked")
no_openat2='{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["openat2"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]}'

# contained NAME SECCOMP UID COMMAND...: runs it in a container with Docker's capabilities; output in $out.
contained() {
	local name=$1 seccomp=$2 uid=$3 bundle=$work/bundle.$1
	shift 3
	mkdir -p "$bundle"
	(cd "$bundle" && rm -f config.json && "$runner" spec)
	jq -c --arg root "$root" --argjson caps "$caps" --argjson seccomp "$seccomp" --argjson uid "$uid" \
		--argjson args "$(printf '%s\n' "$@" | jq -R . | jq -s .)" '
		.root = {path: $root, readonly: false} | .process.terminal = false | .process.user = {uid: $uid, gid: $uid}
		| .process.args = $args | .process.cwd = "/job" | .hostname = "box"
		| .process.env = ["PATH=/bin", "HOME=/job", "CBUILD_ROOT=/job/store", "SOURCE_DATE_EPOCH=1700000000", "ASAN_OPTIONS=detect_leaks=0"]
		| .process.capabilities = (if $uid == 0 then {bounding: $caps, effective: $caps, permitted: $caps} else {bounding: $caps} end)
		| .process.noNewPrivileges = false
		| .linux.namespaces |= map(select(.type != "network"))
		| (if $seccomp then .linux.seccomp = $seccomp else . end)' "$bundle/config.json" >"$bundle/new.json"
	mv "$bundle/new.json" "$bundle/config.json"
	$around "$runner" $groups --root "$work/$runner" run --bundle "$bundle" "cbuild-ladder-$$-$name"
}
# Old versions of crun refuse a host with control groups of both versions: there it sees those of version 2 only.
only_v2() {
	# shellcheck disable=SC2016 # for the shell inside
	unshare -m sh -c 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"' sh "$@"
}
works=
for way in crun crun:only_v2 runc; do
	runner=${way%:*} around=${way#"$runner"} groups=
	around=${around#:}
	[ "$runner" != crun ] || groups=--cgroup-manager=disabled
	if command -v "$runner" >/dev/null && contained probe null 0 /bin/busybox true >"$work/probe" 2>&1; then
		works=yes
		say "containers by $runner${around:+, $around}"
		break
	fi
done
if [ -z "$works" ]; then
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

# --- podman: its default container, which has its own filter and masks, and no capability that matters -------------------
in_podman() {
	local options=$2 uid=$3
	shift 3
	# Limits above those of who asks are no business of this test. Without option no filter of ours is set.
	[ "$options" != null ] || options=
	# shellcheck disable=SC2086
	TMPDIR=$work only_v2 podman --root "$work/podman" --runroot "$work/podman.run" --storage-driver vfs --events-backend none run --rm \
		--runtime crun --cgroups disabled --network host --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 --user "$uid" $options \
		--workdir /job -e PATH=/bin -e HOME=/job -e CBUILD_ROOT=/job/store -e SOURCE_DATE_EPOCH=1700000000 \
		-e ASAN_OPTIONS=detect_leaks=0 --rootfs "$root" "$@"
}
if ! command -v podman >/dev/null || ! in_podman probe null 0 /bin/busybox true >"$work/probe" 2>&1; then
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

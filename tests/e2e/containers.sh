# Sourced by the tests that put cbuild into containers without privileges, made by crun or runc, and by podman.
# shellcheck shell=bash

# container_root: a root directory for them in $root: cbuild, its libraries and busybox.
container_root() {
	local library late
	root=$work/root
	mkdir -p "$root"/{bin,proc,sys,dev,tmp,etc,root,job}
	cp "$CBUILD" "$root/bin/cbuild"
	cp /bin/busybox "$root/bin/busybox"
	ln -s busybox "$root/bin/sh"
	# With what is loaded late.
	late=$(ldconfig -p | grep -oE '/[^ ]*/(libcurl|libsqlite3)\.so\.[0-9]+$' || true)
	# shellcheck disable=SC2086
	{ ldd "$CBUILD" $late | grep -oE '/[^ :]+' && echo "$late"; } | sort -u | while read -r library; do
		[ -n "$library" ] && [ ! -e "$root$library" ] || continue
		mkdir -p "$root$(dirname "$library")"
		cp -L "$library" "$root$library"
	done
	chmod 1777 "$root/tmp" "$root/job"
	echo 'root:x:0:0::/root:/bin/sh' >"$root/etc/passwd"
	cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
}

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
		--argjson args "$(printf '%s\n' "$@" | jq -R . | jq -s .)" --argjson proxies "$(env | grep -i _proxy= | jq -R . | jq -s .)" '
		.root = {path: $root, readonly: false} | .process.terminal = false | .process.user = {uid: $uid, gid: $uid}
		| .process.args = $args | .process.cwd = "/job" | .hostname = "box"
		| .process.env = ["PATH=/bin", "HOME=/job", "CBUILD_ROOT=/job/store", "SOURCE_DATE_EPOCH=1700000000", "ASAN_OPTIONS=detect_leaks=0"] + $proxies
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
# find_runner: 0 with $runner, $around and $groups of one that makes containers here; else what it said is in $work/probe.
find_runner() {
	local way
	for way in crun crun:only_v2 runc; do
		runner=${way%:*} around=${way#"$runner"} groups=
		around=${around#:}
		[ "$runner" != crun ] || groups=--cgroup-manager=disabled
		if command -v "$runner" >/dev/null && contained probe null 0 /bin/busybox true >"$work/probe" 2>&1; then
			say "containers by $runner${around:+, $around}"
			return 0
		fi
	done
	return 1
}

# in_podman NAME OPTIONS UID COMMAND...: podman's default container, which has its own filter and masks, and no capability
# that matters.
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
# 0 when podman can make containers here; else what it said is in $work/probe.
have_podman() { command -v podman >/dev/null && in_podman probe null 0 /bin/busybox true >"$work/probe" 2>&1; }

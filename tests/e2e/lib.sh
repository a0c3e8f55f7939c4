# Sourced by every end-to-end test: a scratch directory, a store of its own, a registry on loopback, base images, checks.
# shellcheck shell=bash
set -euo pipefail

: "${CBUILD:?the cbuild to test}" "${CBUILD_SOURCE:?the source tree}" "${CBUILD_CACHE:?a directory for what is slow to make}"
here=$CBUILD_SOURCE/tests/e2e
work=$(mktemp -d "${TMPDIR:-/var/tmp}/cbuild-e2e.XXXXXX")
chmod 755 "$work"
export CBUILD_ROOT=$work/store
export HOME=${HOME:-$work}
unset XDG_CONFIG_HOME REGISTRY_AUTH_FILE DOCKER_CONFIG SOURCE_DATE_EPOCH BUILDKIT_PROGRESS
registry=
registry_pid=
servers=()
checks=0
mkdir -p "$CBUILD_CACHE"

# What a test started is ended by a function of this name, which the test defines.
at_end() { :; }
finish() {
	local status=$?
	set +e
	at_end 2>/dev/null
	[ -z "$registry_pid" ] || kill "$registry_pid" 2>/dev/null
	# A rootless store holds files of other ids: only a user namespace may remove them.
	if [ "$(id -u)" = 0 ]; then
		rm -rf "$work"
	else
		podman unshare rm -rf "$work" 2>/dev/null || { chmod -R u+rwX "$work" 2>/dev/null; rm -rf "$work"; } 2>/dev/null
	fi
	[ "$status" -ne 0 ] || echo "ok: $checks checks"
	exit "$status"
}
trap finish EXIT

say() { printf '# %s\n' "$*"; }
skip() {
	printf 'SKIPPED: %s\n' "$*"
	exit 77
}
fail() {
	printf 'FAILED: %s\n' "$*" >&2
	exit 1
}
need() {
	local program
	for program; do
		command -v "$program" >/dev/null || skip "$program is not installed"
	done
}
is_root() { [ "$(id -u)" = 0 ]; }

# is WHAT GOT WANT
is() {
	checks=$((checks + 1))
	[ "$2" = "$3" ] || fail "$1: got $(printf '%q' "$2"), want $(printf '%q' "$3")"
}
# has WHAT TEXT PART
has() {
	checks=$((checks + 1))
	case $2 in
	*"$3"*) ;;
	*) fail "$1: $(printf '%q' "$3") is not in: $2" ;;
	esac
}
# hasnt WHAT TEXT PART
hasnt() {
	checks=$((checks + 1))
	case $2 in
	*"$3"*) fail "$1: $(printf '%q' "$3") is in: $2" ;;
	esac
}
# status WANT COMMAND...: runs it with all output in $out; its status must be WANT.
status() {
	local want=$1 got=0
	shift
	"$@" >"$work/.out" 2>&1 </dev/null || got=$?
	out=$(cat "$work/.out")
	checks=$((checks + 1))
	[ "$got" = "$want" ] || fail "$*: exit status $got, want $want; output: $out"
}

# cb ...: cbuild, plain progress, output in $out, must succeed.
cb() { status 0 "$CBUILD" "$@"; }
# context NAME <<'EOF': an empty context with that Buildfile; its path in $context.
context() {
	context=$work/context-$1
	rm -rf "$context"
	mkdir -p "$context"
	cat >"$context/Buildfile"
}

# A busybox root as a tar, the same bytes each time.
busybox_tar() {
	local root=$work/busybox-root
	[ -s "$work/busybox.tar" ] && return
	mkdir -p "$root"/{bin,etc,root,tmp,usr/bin,var}
	chmod 1777 "$root/tmp"
	cp /bin/busybox "$root/bin/busybox"
	local applet
	for applet in $(/bin/busybox --list); do
		[ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:User:/home/user:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$root/etc/passwd"
	printf 'root:x:0:\nwheel:x:10:root\nuser:x:1000:\nextra:x:1500:user\nnogroup:x:65534:\n' >"$root/etc/group"
	tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1700000000 -C "$root" -cf "$work/busybox.tar" .
}

# A Debian root as a tar, made once.
debian_tar() {
	need mmdebstrap
	[ -s "$CBUILD_CACHE/debian.tar" ] && return
	(
		exec 9>"$CBUILD_CACHE/debian.lock"
		flock 9
		[ -s "$CBUILD_CACHE/debian.tar" ] && exit
		mmdebstrap --quiet --variant=minbase --format=tar bookworm "$CBUILD_CACHE/debian.tar.tmp" >&2
		mv "$CBUILD_CACHE/debian.tar.tmp" "$CBUILD_CACHE/debian.tar"
	)
}

# registry_start: Debian's docker-registry on a free port of loopback; its address in $registry.
registry_start() {
	need docker-registry skopeo curl
	local port try
	[ -z "$registry" ] || return 0
	for try in $(seq 20); do
		port=$((20000 + RANDOM % 20000))
		printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s/registry}}\nhttp: {addr: "127.0.0.1:%s"}\n' \
			"$work" "$port" >"$work/registry.yml"
		docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
		registry_pid=$!
		for _ in $(seq 100); do
			if curl -fs "http://127.0.0.1:$port/v2/" >/dev/null 2>&1; then
				registry=localhost:$port
				return 0
			fi
			kill -0 "$registry_pid" 2>/dev/null || break
			sleep 0.1
		done
		kill "$registry_pid" 2>/dev/null || true
	done
	fail "no registry could be started ($try tries): $(cat "$work/registry.log")"
}

# cache_serve OPTIONS...: a server of caches; its port in $port, its log in $log, its pid the last of $servers, which the
# test ends.
cache_serve() {
	port_file=$work/port-${#servers[@]} log=$work/log-${#servers[@]}
	mkdir -p "$work/served-${#servers[@]}"
	python3 "$here/cacheserver.py" "$port_file" "$work/served-${#servers[@]}" "$log" "$@" &
	servers+=("$!")
	for _ in $(seq 100); do
		[ ! -s "$port_file" ] || break
		sleep 0.1
	done
	port=$(cat "$port_file")
}

skopeo_() { skopeo --insecure-policy "$@"; }

# push_base NAME TAR [CONFIG-JSON]: a one-layer image of that root, pushed to the registry by skopeo.
push_base() {
	local name=$1 tar=$2 config=${3:-'{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["/bin/sh"]}'}
	registry_start
	python3 "$here/image_from_tar.py" "$tar" "$config" "$work/base-$name.tar"
	skopeo_ copy -q --dest-tls-verify=false "docker-archive:$work/base-$name.tar" "docker://$registry/$name:latest"
	rm -f "$work/base-$name.tar"
}
push_busybox() {
	busybox_tar
	push_base busybox "$work/busybox.tar"
}
push_debian() {
	debian_tar
	push_base debian "$CBUILD_CACHE/debian.tar"
}

# oci_file IMAGE.tar PATH: the content of a file of the image's file system.
oci_file() { python3 "$here/image_diff.py" cat "$1" "$2"; }
# oci_config IMAGE.tar JQ-EXPRESSION
oci_config() { python3 "$here/image_diff.py" config "$1" | jq -rc "$2"; }
# oci_list IMAGE.tar: type, mode, owner, size and name of all entries.
oci_list() { python3 "$here/image_diff.py" list "$1"; }

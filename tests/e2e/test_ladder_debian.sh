# apt-get install of ten packages gives the same image on every rung of the isolation ladder and in the surroundings of the
# ladder: root on each, ordinary users with a range of ids and with one, unshare -r, podman's containers as root and not, and
# one without namespaces and mounts. CBUILD_LADDER_PACKAGES names other packages, CBUILD_LADDER_RUNGS fewer rungs.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
. "$CBUILD_SOURCE/tests/e2e/containers.sh"
need jq
push_debian
# Small ones with what is hard: set-id programs, users and groups, capabilities, owners, alternatives, services.
packages=${CBUILD_LADDER_PACKAGES:-sudo cron man-db openssh-client iputils-ping rsync file less at sqlite3}

# What apt and dpkg write with times, inode numbers or random numbers in it goes.
context debian <<END
FROM $registry/debian:latest
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages && \
	rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /tmp/* /var/lib/dpkg/*-old /etc/machine-id /var/lib/dbus/machine-id
RUN dpkg --audit && for p in $packages; do dpkg-query -W -f '\${db:Status-Status}\n' "\$p" | grep -qx installed || exit 1; done
RUN useradd -m somebody && install -o somebody -g mail -m 2750 -d /srv/box && su somebody -c 'touch ~/mine' && rm -f /etc/*-
END
export SOURCE_DATE_EPOCH=1700000000

want=
# on NAME ISOLATION COMMAND...: a build by that command, which writes the archive; the image has to be that of the first.
on() {
	local name=$1 isolation=$2 archive=$3 begun
	shift 3
	begun=$(date +%s)
	rm -f "$archive"
	status 0 "$@" build --isolation "$isolation" --progress plain -o "type=oci,dest=$dest,rewrite-timestamp=true" "$from"
	digest=$(tar -xOf "$archive" index.json | jq -r '.manifests[0].digest')
	say "$name: $(($(date +%s) - begun)) s"
	want=${want:-$digest}
	if [ "$digest" != "$want" ]; then
		python3 "$here/image_diff.py" diff "$work/first.tar" "$archive" || true
	fi
	is "$name" "$digest" "$want"
	[ -e "$work/first.tar" ] || cp "$archive" "$work/first.tar"
}
job=$work/job
install -d -m 1777 "$job"
cp -R "$context" "$job/context"
cp "$CBUILD" "$job/cbuild"
dest=$job/image.tar from=$job/context

mapfile -t works < <("$CBUILD" doctor --format json | jq -r '.rungs[] | select(.works) | .name')
for isolation in ${CBUILD_LADDER_RUNGS:-"${works[@]}"}; do
	case " ${works[*]} " in
	*" $isolation "*) ;;
	*)
		say "SKIPPED: $isolation does not work here"
		continue
		;;
	esac
	on "$isolation" "$isolation" "$dest" env CBUILD_ROOT="$job/store" "$job/cbuild"
	rm -rf "$job/store" 2>/dev/null || mv "$job/store" "$job/store.$isolation"
done

say "in unshare -r"
on "unshare -r" auto "$dest" env CBUILD_ROOT="$job/store.unshare" unshare -r "$job/cbuild"
rm -rf "$job/store.unshare" 2>/dev/null || true

is_root || skip "only root can go on as others: the rungs of this user were seen"
# as USER: cbuild started by that ordinary user.
as() {
	local user=$1
	shift
	runuser -u "$user" -- env -i PATH="$PATH" HOME="$job" CBUILD_ROOT="$job/store.$user" SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" \
		ASAN_OPTIONS="${ASAN_OPTIONS-}" "$job/cbuild" "$@"
}
for user in cbuild-test-ranges cbuild-test-single; do
	if ! id "$user" >/dev/null 2>&1; then
		say "SKIPPED: there is no user $user (tests/e2e/run_as --setup)"
		continue
	fi
	status 0 as "$user" doctor --format json
	is "the rung of $user" "$(jq -r .isolation <<<"$out")" "${user##*-}"
	on "$user" auto "$dest" as "$user"
	rm -rf "$job/store.$user" "$dest"
done

# inside NAME RUNG CONTAINER...: cbuild in a container.
inside() {
	local name=$1 rung=$2
	shift 2
	status 0 "$@" cbuild doctor --format json
	is "$name is on the rung" "$(jq -r .isolation <<<"$out")" "$rung"
	on "$name" auto "$root/job/image.tar" "$@" cbuild
	rm -rf "$root/job/store"
}
container_root
cp -R "$context" "$root/job/context"
dest=/job/image.tar from=/job/context
if ! find_runner; then
	say "SKIPPED from here on: neither crun nor runc can make containers here: $(tail -n 1 "$work/probe" 2>/dev/null)"
	exit 0
fi
inside "a container that may not make namespaces, nor mount" chroot contained blocked "$blocked" 0
if ! have_podman; then
	say "SKIPPED: podman cannot make containers here: $(tail -n 1 "$work/probe" 2>/dev/null)"
	exit 0
fi
inside "podman's default container" shared in_podman podman null 0
inside "an ordinary user in it" shared in_podman podman-user null 1000

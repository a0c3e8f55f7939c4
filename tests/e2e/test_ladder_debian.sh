# apt-get install gives the same bytes on the rungs of the isolation ladder. CBUILD_LADDER_PACKAGES names more packages (ten, in
# the long run), CBUILD_LADDER_RUNGS other rungs than the best and the one with one user id.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
push_debian
packages="hello ${CBUILD_LADDER_PACKAGES-}"

# What apt and dpkg write with times, inode numbers or random numbers in it goes.
context debian <<END
FROM $registry/debian:latest
RUN apt-get update && apt-get install -y --no-install-recommends $packages && hello && \
	rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /tmp/* /var/lib/dpkg/*-old /etc/machine-id /var/lib/dbus/machine-id
RUN useradd -m somebody && install -o somebody -g mail -m 2750 -d /srv/box && su somebody -c 'touch ~/mine' && rm -f /etc/*-
END
export SOURCE_DATE_EPOCH=1700000000

mapfile -t works < <("$CBUILD" doctor --format json | jq -r '.rungs[] | select(.works) | .name')
rungs=${CBUILD_LADDER_RUNGS:-"${works[0]} single"}
want=
for isolation in $rungs; do
	case " ${works[*]} " in
	*" $isolation "*) ;;
	*)
		say "SKIPPED: $isolation does not work here"
		continue
		;;
	esac
	begun=$(date +%s)
	CBUILD_ROOT=$work/store.$isolation cb build --progress plain --isolation "$isolation" -o "type=oci,dest=$work/image.tar,rewrite-timestamp=true" "$context"
	say "$isolation: $(($(date +%s) - begun)) s"
	digest=$(tar -xOf "$work/image.tar" index.json | jq -r '.manifests[0].digest')
	want=${want:-$digest}
	if [ "$digest" != "$want" ]; then
		python3 "$here/image_diff.py" diff "$work/first.tar" "$work/image.tar" || true
	fi
	is "$isolation" "$digest" "$want"
	[ -e "$work/first.tar" ] || mv "$work/image.tar" "$work/first.tar"
	rm -rf "$work/store.$isolation" 2>/dev/null || true
done

# users: any
# Images of cbuild beside those that buildah and docker's BuildKit make of the same Buildfiles. CBUILD_DIFFERENTIAL=all runs
# the peers on every case, none on no case; without it they run for some seconds. record asks PEERS anew and writes recorded/,
# update writes differences.txt anew.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need python3 busybox git
# Mount points of steps, which peers would leave in layers otherwise.
mkdir -p "$work"/busybox-root/{dev,proc,sys}
busybox_tar
registry_start
say "tables"
mode=()
case ${CBUILD_DIFFERENTIAL-} in record | update) mode=("--$CBUILD_DIFFERENTIAL") CBUILD_DIFFERENTIAL=none ;; esac
python3 "$here/../differential/drive.py" "${mode[@]}" "$work/differential" "$registry" "$work/busybox.tar" || fail "see above"
checks=$((checks + 1))

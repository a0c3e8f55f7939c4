# users: any
# Images of cbuild beside those that buildah and docker's BuildKit make of the same Buildfiles. CBUILD_DIFFERENTIAL=all runs
# the peers on every case, none on no case; without it they run for some seconds.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need python3 busybox
busybox_tar
registry_start
say "tables"
python3 "$here/../differential/drive.py" "$work/differential" "$registry" "$work/busybox.tar" || fail "see above"
checks=$((checks + 1))

# users: any
# Registries and networks that fail in every way: recovered from, or told clearly with the right exit status.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need docker-registry python3 curl skopeo
registry_start
export CONTAINERS_REGISTRIES_CONF=$work/registries.conf
: >"$CONTAINERS_REGISTRIES_CONF"

say "an image in the registry and in a store"
mkdir "$work/faults"
context app <<END
FROM scratch
COPY noise /noise
COPY Buildfile /
END
head -c 300000 /dev/urandom >"$context/noise"
cb build --root "$work/faults/store" -o type=image,push=true -t "$registry/faults/base:1" "$context"

say "the table"
python3 "$here/registry_faults.py" "$CBUILD" "$registry" "$work/faults" >"$work/table" 2>&1 || fail "$(cat "$work/table")"
cat "$work/table"
cb fsck --root "$work/faults/store"

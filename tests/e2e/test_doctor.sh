# users: any single
# cbuild doctor: every rung is tried, what a build takes is marked, and builds do take it.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"

status 0 "$CBUILD" doctor --format json
doctor=$out
names=$(jq -r '[.rungs[].name] | join(" ")' <<<"$doctor")
is "in the order of the ladder" "${names%% *}" root+userns
chosen=$(jq -r .isolation <<<"$doctor")
is "one is chosen" "$(jq -r '[.rungs[] | select(.chosen)] | length' <<<"$doctor")" 1
is "and works" "$(jq -r '.rungs[] | select(.chosen) | .works' <<<"$doctor")" true
is "what does not work says why" "$(jq -r '[.rungs[] | select(.works | not) | select(.reason == "")] | length' <<<"$doctor")" 0
is "and what to do" "$(jq -r '[.rungs[] | select(.works | not) | select(.remedy == "")] | length' <<<"$doctor")" 0
for fact in kernel user store "free space" cgroups limits seccomp pasta git; do
	is "$fact" "$(jq --arg name "$fact" '[.host[] | select(.name == $name)] | length' <<<"$doctor")" 1
done
is "who is at the doctor's is not sent there" "$(jq -r '[.rungs[].remedy | select(contains("cbuild doctor"))] | length' <<<"$doctor")" 0
[ ! -e "$CBUILD_ROOT" ] || fail "the doctor made a store"
[ -z "$(find "$work" -name '.cbuild-doctor*')" ] || fail "the doctor left something behind"

say "limits are what builds can have"
context limits <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "true"]
END
cp /bin/busybox "$context/"
limits=$(jq -r '.host[] | select(.name == "limits") | .value' <<<"$doctor")
want=0
case $limits in *"not: "*processes*) want=125 ;; esac
status "$want" "$CBUILD" build --pids-limit 100 -q "$context"

if unshare -r true 2>/dev/null; then
	say "root of a user namespace"
	status 0 unshare -r "$CBUILD" doctor --format json --root "$work/other"
	has "is no root" "$(jq -r '.host[] | select(.name == "user") | .value' <<<"$out")" "root of a user namespace with one id: owners are recorded"
fi
if is_root && command -v pasta >/dev/null; then
	say "pasta without its device"
	# shellcheck disable=SC2016 # for the shell inside
	status 0 unshare -m sh -c 'mount -t tmpfs none /dev/net && exec "$0" doctor --format json' "$CBUILD"
	is "is said" "$(jq -r '.host[] | select(.name == "pasta") | .value' <<<"$out")" "installed, but /dev/net/tun cannot be opened: No such file or directory"
fi

say "as text"
cb doctor
has "the chosen one" "$(grep "builds take this" <<<"$out")" "$chosen"

say "a store that cannot be"
if ! is_root; then
	status 125 "$CBUILD" doctor --root /proc/no
	has "says so" "$out" "create a directory in /proc"
fi
status 2 "$CBUILD" doctor --format xml

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
for fact in kernel user store "free space" cgroups seccomp git; do
	is "$fact" "$(jq --arg name "$fact" '[.host[] | select(.name == $name)] | length' <<<"$doctor")" 1
done
[ ! -e "$CBUILD_ROOT" ] || fail "the doctor made a store"
[ -z "$(find "$work" -name '.cbuild-doctor*')" ] || fail "the doctor left something behind"

say "as text"
cb doctor
has "the chosen one" "$(grep "builds take this" <<<"$out")" "$chosen"

say "a store that cannot be"
if ! is_root; then
	status 125 "$CBUILD" doctor --root /proc/no
	has "says so" "$out" "create a directory in /proc"
fi
status 2 "$CBUILD" doctor --format xml

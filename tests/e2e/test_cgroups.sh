# Control groups of v2 in the places that builds are started in: alone in a group as in a container, with a shell as in a
# scope, above groups of others; nothing is left, even by a build that is killed, and nobody's controllers are taken.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need jq unshare
is_root || skip "makes control groups where only root may"
mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$mount" ] || skip "cgroup v2 is not mounted"
controllers=$(cat "$mount/cgroup.controllers")
case " $controllers " in *" memory "*) ;; *) skip "cgroup v2 has no controller of memory here" ;; esac
case " $controllers " in *" pids "*) ;; *) skip "cgroup v2 has no controller of processes here" ;; esac

mine=$mount/cbuild-e2e-cgroups-$$
top_had=$(cat "$mount/cgroup.subtree_control")
at_end() {
	local word try
	for try in $(seq 50); do
		find "$mine" -depth -type d -exec rmdir {} + 2>/dev/null
		[ -d "$mine" ] || break
		find "$mine" -mindepth 2 -name cgroup.kill -exec sh -c 'echo 1 >"$0"' {} \;
		sleep 0.1
	done
	for word in memory pids; do case " $top_had " in *" $word "*) ;; *) echo "-$word" >"$mount/cgroup.subtree_control" ;; esac; done
}
mkdir "$mine"
for word in memory pids; do
	echo "+$word" >"$mount/cgroup.subtree_control" || skip "no controller can be handed down: another hierarchy may have it"
done

# scene: $mine/GROUP, made anew, with nothing handed down to it but what a scope has.
scene() {
	group=$mine/$1
	[ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} +
	echo "+memory +pids" >"$mine/cgroup.subtree_control"
	mkdir "$group"
}
# in_container COMMAND...: as the first process of a container, in $group, which is the root of what it sees.
in_container() {
	# shellcheck disable=SC2016 # the inner shells expand
	sh -c 'echo 0 >"$0/cgroup.procs" && exec unshare --cgroup --mount sh -c '\''mount --make-rprivate / && umount -R -l /sys/fs/cgroup &&
		mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'\'' - "$@"' "$group" "$@"
}
# inside COMMAND...: in_container, with its status in $got, its output in $out.
inside() {
	got=0
	in_container "$@" >"$work/.out" 2>&1 </dev/null || got=$?
	out=$(cat "$work/.out")
}
# left: what is in $group that was not there before, and what it hands down
left() { echo "$(cd "$group" && find . -mindepth 1 -type d | sort | tr '\n' ' ')$(cat "$group/cgroup.subtree_control")"; }
# soon WHAT COMMAND...: its output must become empty
soon() {
	local what=$1 try rest=
	shift
	for try in $(seq 100); do
		rest=$("$@")
		[ -n "$rest" ] || break
		sleep 0.1
	done
	is "$what" "$rest" ""
}

context look <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN echo "max $(cat /sys/fs/cgroup/pids.max 2>&1)"; echo "sees $(ls /sys/fs/cgroup | wc -l)"; echo "procs $(cat /sys/fs/cgroup/cgroup.procs 2>/dev/null | wc -l)"
END
cp /bin/busybox "$context/"
look=$context

say "alone in its group, as the first process of a container"
scene alone
inside "$CBUILD" build --no-cache --progress plain "$look"
is "it builds" "$got" 0
grep -qE ' max [0-9]+$' <<<"$out" || fail "a build without a word about limits has no limit of processes: $out"
is "nothing is left" "$(left)" ""
inside "$CBUILD" build --no-cache --progress plain --memory 256m "$look"
is "with a limit" "$got" 0
is "nothing is left of that" "$(left)" ""
inside "$CBUILD" doctor --format json
is "the doctor says so" "$(jq -r '.host[] | select(.name == "limits") | .ok' <<<"$out")" true
is "and leaves nothing" "$(left)" ""

say "with a shell in the group"
scene shell
# shellcheck disable=SC2016
inside sh -c '"$@"; exit $?' - "$CBUILD" build --no-cache --progress plain "$look"
is "without a word about limits it builds" "$got" 0
has "the group of cbuild is not shown" "$out" " sees 0"
# shellcheck disable=SC2016
inside sh -c '"$@"; exit $?' - "$CBUILD" build --no-cache --memory 256m "$look"
is "a limit is refused" "$got" 125
has "with the reason" "$out" "other processes are in the control group of cbuild"
has "and what to do" "$out" "systemd-run --user --scope -p Delegate=yes"
# shellcheck disable=SC2016
inside sh -c '"$@"; exit $?' - "$CBUILD" doctor --format json
is "the doctor says it before" "$(jq -r '.host[] | select(.name == "limits") | .ok' <<<"$out")" false
has "with the reason" "$(jq -r '.host[] | select(.name == "limits") | .value' <<<"$out")" "not: memory, processes, cpu, cpuset (other processes are in the control group"
has "and the remedy" "$(jq -r '.host[] | select(.name == "limits") | .remedy' <<<"$out")" "systemd-run --user --scope -p Delegate=yes"
is "nothing is left" "$(left)" ""

say "above: groups of others, and the controllers that they have"
scene above
mkdir "$group/build" "$group/other"
above=$group
run_in() { sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "$above/build" "$@"; }
# builder: the number of the cbuild that begin started, wherever it is below $mine.
builder() {
	find "$mine" -name cgroup.procs -exec cat {} + | while read -r pid; do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "${1-cbuild}" ] || echo "$pid"
	done
}
before=$(cat "$above/cgroup.subtree_control")
status 0 run_in "$CBUILD" build --no-cache --memory 256m "$look"
is "what was handed down is taken back" "$(cat "$above/cgroup.subtree_control")" "$before"
is "no group is left" "$(ls -d "$above"/cbuild-* 2>/dev/null || true)" ""
context wait <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN echo running; sleep 4243
END
cp /bin/busybox "$context/"
waiting=$context
# begin COMMAND...: a build in the background that has come to its step.
begin() {
	: >"$work/begun"
	"$@" >"$work/begun" 2>&1 &
	begun=$!
	for _ in $(seq 600); do
		! grep -q ' running' "$work/begun" || return 0
		sleep 0.1
	done
	fail "the build does not come to its step: $(cat "$work/begun")"
}
begin run_in "$CBUILD" build --no-cache --memory 256m --progress plain "$waiting"
echo 123456789 >"$above/other/memory.max"
kill -INT "$(builder)"
wait "$begun" || true
has "what another group uses by now stays" "$(cat "$above/cgroup.subtree_control")" memory
hasnt "what nobody uses does not" "$(cat "$above/cgroup.subtree_control")" pids
has "and the other group keeps its setting" "$(cat "$above/other/memory.max")" 1234
echo max >"$above/other/memory.max"
status 0 run_in "$CBUILD" build --no-cache --memory 256m "$look"
is "the next build takes it back when the other does not use it any more" "$(cat "$above/cgroup.subtree_control")" "$before"

say "two builds in one place: the last one takes back"
begin run_in "$CBUILD" build --no-cache --memory 256m --progress plain "$waiting"
status 0 run_in "$CBUILD" build --no-cache --memory 256m "$look"
has "not the first" "$(cat "$above/cgroup.subtree_control")" memory
kill -INT "$(builder)"
wait "$begun" || true
is "but the last" "$(cat "$above/cgroup.subtree_control")" "$before"

say "killed"
groups_of_above() { ls -d "$above"/cbuild-* 2>/dev/null || true; }
begin run_in "$CBUILD" build --no-cache --memory 256m --progress plain "$waiting"
[ -n "$(groups_of_above)" ] || fail "the build has no group, so this shows nothing"
kill -KILL "$(builder)"
wait "$begun" 2>/dev/null || true
soon "its groups go without another build" groups_of_above
is "and what it handed down" "$(cat "$above/cgroup.subtree_control")" "$before"
scene alone
begin in_container "$CBUILD" build --no-cache --memory 256m --progress plain "$waiting"
[ -n "$(left)" ] || fail "the build has no group, so this shows nothing"
kill -KILL "$(builder)"
wait "$begun" 2>/dev/null || true
soon "alone in its group, too" left
soon "nobody is left" cat "$group/cgroup.procs"

say "killed with its heir: the next build sweeps"
begin run_in "$CBUILD" build --no-cache --memory 256m --progress plain "$waiting"
heir=$(builder cbuild-heir)
[ -n "$heir" ] || fail "there is no heir"
kill -KILL "$heir" "$(builder)"
wait "$begun" 2>/dev/null || true
[ -n "$(groups_of_above)" ] || fail "the groups are gone, so this shows nothing"
status 0 run_in "$CBUILD" build --no-cache --memory 256m "$look"
is "nothing is left" "$(groups_of_above)" ""
is "nothing is handed down" "$(cat "$above/cgroup.subtree_control")" "$before"

# users: any
# Limits of steps: control groups, out of memory, time, processes; nothing is left of them.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need awk jq

# base NAME: the head of a Buildfile on a busybox without a registry; the rest comes from standard input.
base() {
	context "$1" < <(
		printf 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\n'
		cat
	)
	cp /bin/busybox "$context/"
}
groups_left() { find /sys/fs/cgroup -maxdepth 6 -type d -name 'cbuild-[0-9]*-????????' -user "$(id -u)" 2>/dev/null | while read -r dir; do
	# Of other builds on this machine none is ours.
	flock -n "$dir" true 2>/dev/null && echo "$dir"
done; }

say "time limits"
base slow <<'END'
RUN (setsid sh -c 'sleep 600' &) ; trap '' TERM; echo started; sleep 600
END
status 124 "$CBUILD" --step-timeout 1s "$context"
has "the step that was too slow is shown" "$out" ">>> RUN (setsid"
has "it is said why" "$out" "it took longer than --step-timeout 1s"
hasnt "it is not called an exit code" "$out" "exit code"
status 124 "$CBUILD" --timeout 1500ms "$context"
has "the build has a limit, too" "$out" "the build is not done after 1.5s, its --timeout"
base closed <<'END'
RUN exec >&- 2>&-; sleep 600
END
status 124 "$CBUILD" --step-timeout 1s "$context"
base quick <<'END'
RUN true
END
cb --step-timeout 1m --timeout 10m "$context"
status 2 "$CBUILD" --step-timeout soon "$context"

say "processes that outlive the command are ended"
base daemon <<'END'
RUN (setsid sh -c 'sleep 4242 & sleep 4242' >/dev/null 2>&1 &) ; true
END
cb "$context"
is "no process is left" "$(pgrep -u "$(id -u)" -f 'sleep 4242' || true)" ""

say "name and addresses"
base names <<'END'
RUN hostname; cat /etc/resolv.conf
END
cb --hostname builder7 --dns 192.0.2.7 --dns-search example.org --dns-option ndots:3 --no-cache "$context"
for line in " builder7" "nameserver 192.0.2.7" "search example.org" "options ndots:3"; do
	has "in the step" "$out" "$line"
done
cb --build-arg BUILDKIT_SANDBOX_HOSTNAME=other --no-cache "$context"
has "as BuildKit's argument" "$out" " other"
status 2 "$CBUILD" --dns name.example "$context"

say "what a Buildfile may ask for only when it is allowed"
base rights <<'END'
RUN --security=insecure grep -E '^(CapEff|Seccomp):' /proc/self/status | tr -d '\n'; mkdir /m && mount -t tmpfs none /m && umount /m && echo mounted
END
status 1 "$CBUILD" "$context"
has "insecure" "$out" "entitlement security.insecure is not allowed"
cb --allow security.insecure "$context"
hasnt "more than the default capabilities" "$out" "00000000a80425fb"
has "no filter" "$out" "Seccomp:	0"
has "and mounts" "$out" "mounted"
base hostnet <<'END'
RUN --network=host true
END
status 1 "$CBUILD" "$context"
has "the host's network" "$out" "entitlement network.host is not allowed"
cb --network host "$context"
cb --allow network.host --allow device "$context"
base gateway <<'END'
RUN --device=vendor.example/thing=1 cat /etc/hosts
END
cb --add-host here:host-gateway --add-host there=192.0.2.9 "$context"
grep -qE ' [0-9a-f:.]+[[:blank:]]here' <<<"$out" || fail "host-gateway is no address: $out"
has "beside others" "$out" "192.0.2.9	there"
base device <<'END'
RUN --device=vendor.example/thing=1,required true
END
status 125 "$CBUILD" "$context"
has "a device that must be there" "$out" "required device \"vendor.example/thing=1\" is not available"
has "it is said what there is" "$out" "with RUN --security=insecure, --allow security.insecure and --isolation root"
status 2 "$CBUILD" --device /dev/fuse "$context"
has "as for the option" "$out" "hint: steps have /dev/null, zero, full"
if is_root && "$CBUILD" doctor --format json | jq -e '.rungs[] | select(.name == "root") | .works' >/dev/null; then
	base nodes <<'END'
RUN --security=insecure mknod /null c 1 3 && echo x >/null && rm /null
RUN mknod /null c 1 3 && ! echo x 2>/dev/null >/null && rm /null
END
	cb --allow security.insecure --isolation root --progress plain "$context"
fi

say "limits need control groups"
base memory <<'END'
RUN awk 'BEGIN { s = "0123456789abcdef"; while (length(s) < 268435456) s = s s; print length(s) }'
END
status 2 "$CBUILD" --memory 1m "$context"
status 2 "$CBUILD" --memory-swap 64m "$context"
status 2 "$CBUILD" --resource memorie=64m "$context"
got=0
"$CBUILD" --memory 64m "$context" >"$work/.out" 2>&1 </dev/null || got=$?
out=$(cat "$work/.out")
if [ "$got" = 125 ]; then
	has "refused, not ignored" "$out" "the limits of --memory cannot be set here"
	has "with a way out" "$out" "hint: run as root, or where control groups are delegated"
	is_root && ! grep -q : /proc/self/cgroup && skip "no control groups"
	! is_root || fail "root cannot set limits: $out"
	exit 0
fi
is "the step is ended" "$got" 1
has "the cause has a name" "$out" "ran out of memory: cannot allocate memory: killed at its limit of 67.1MB (peak 6"
has "and a way out" "$out" "hint: give it more with --memory"
is "no group is left by a failure" "$(groups_left)" ""
cb --memory 1g --cpu-shares 512 --cpu-period 50000 --cpu-quota 100000 "$context"
# The parent is a name below the root of the hierarchy, where an ordinary user makes none on v2.
! is_root || cb --no-cache --resource memory=1g,cpu-shares=256 --cgroup-parent "cbuild-e2e-$$" "$context"
is "no group is left by success" "$(groups_left)" ""
is "nor the parent that was made" "$(find /sys/fs/cgroup -maxdepth 3 -name "cbuild-e2e-$$" 2>/dev/null)" ""
status 125 "$CBUILD" --memory 1g --cgroup-parent ../../x "$context"
status 2 "$CBUILD" --no-cache --cpuset-cpus 4000-4001 "$context"

if is_root; then
	say "no control groups, or none that can be written"
	# shellcheck disable=SC2016 # the inner shell expands
	status 125 unshare --mount sh -c 'umount -R -l /sys/fs/cgroup && exec "$@"' - "$CBUILD" --no-cache --memory 64m "$context"
	has "not there" "$out" "the limits of --memory cannot be set here: the control group controller is not available"
	# shellcheck disable=SC2016
	readonly='grep -E "^[^ ]+ /sys/fs/cgroup" /proc/self/mounts | cut -d" " -f2 | while read -r m; do mount -o remount,bind,ro "$m"; done; exec "$@"'
	status 125 unshare --mount sh -c "$readonly" - "$CBUILD" --no-cache --memory 64m "$context"
	has "read-only" "$out" "the limits of --memory cannot be set here: Read-only file system"
	has "with a way out" "$out" "in a container they must be mounted writable"
	base unlimited <<'END'
RUN echo it runs
END
	status 0 unshare --mount sh -c "$readonly" - "$CBUILD" --no-cache --progress plain "$context"
	has "without a word about limits nothing is asked for" "$out" "it runs"
fi

say "a fork bomb meets its limit"
base bomb <<'END'
RUN i=0; while [ $i -lt 80 ]; do sleep 5 & i=$((i + 1)); done 2>/dev/null; echo survived $i
END
status 1 "$CBUILD" --pids-limit 40 "$context"
has "it is told" "$out" "the step reached its limit of processes"
cb --pids-limit -1 --no-cache "$context"

say "a killed build leaves no groups, without another build"
base killed <<'END'
RUN echo running; sleep 600
END
"$CBUILD" --memory 256m --no-cache "$context" >"$work/killed.out" 2>&1 &
victim=$!
for _ in $(seq 300); do
	grep -q ' running' "$work/killed.out" && break
	sleep 0.1
done
kill -KILL "$victim"
wait "$victim" 2>/dev/null || true
for _ in $(seq 100); do
	[ -n "$(groups_left)" ] || break
	sleep 0.1
done
is "nothing is left" "$(groups_left)" ""

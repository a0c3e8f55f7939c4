# users: any
# Many processes in one store: each distinct step runs once, nothing is corrupted; also beside prune in a loop, under
# SIGKILL, and on a disk that fills up. CBUILD_TOGETHER_ROUNDS=50 makes it a long test.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need jq
rounds=${CBUILD_TOGETHER_ROUNDS:-1}
many=16
export CBUILD_GC=off

context many <<'END'
FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
END
cp /bin/busybox "$context/"
dd if=/dev/urandom of="$context/data" bs=1k count=200 status=none

# file NUMBER ROUND [LOG]: a Buildfile that shares the base with all others, two steps with every fourth, and one with nobody.
# With LOG each step says in a cache mount that it ran.
file() {
	local i=$1 round=$2 log='' count=true
	if [ -n "${3-}" ]; then
		log='--mount=type=cache,id=log,target=/log '
		# shellcheck disable=SC2016
		count='echo "$STEP" >>/log/steps'
	fi
	cat <<-END
		FROM scratch AS base
		COPY busybox /bin/busybox
		RUN ["/bin/busybox", "--install", "-s", "/bin"]
		FROM base AS common
		RUN ${log}STEP=common-$round; $count; echo common-$round >/common
		FROM common AS group
		COPY data /data
		RUN ${log}STEP=group-$((i % 4))-$round; $count; cat /common /data >/group-$((i % 4))
		FROM group
		RUN ${log}STEP=own-$i-$round; $count; echo own-$i-$round >/own
		COPY --from=common /common /again
	END
}

# right NUMBER ROUND: the image of that build has what its steps wrote.
right() {
	is "image $1 of round $2" "$(oci_file "$work/out-$1.tar" own)" "own-$1-$2"
	is "shared step in image $1" "$(oci_file "$work/out-$1.tar" again)" "common-$2"
}
sound() {
	cb fsck
	has "the store is sound after $1" "$out" "no problem"
}
# start NUMBER ROUND [LOG]: builds it in the background.
start() {
	file "$@" >"$work/Buildfile-$1"
	rm -f "$work/out-$1.tar"
	"$CBUILD" build --progress=plain -f "$work/Buildfile-$1" -o "type=oci,dest=$work/out-$1.tar" "$context" \
		>"$work/log-$1" 2>&1 &
	pids[$1]=$!
}
all_done() {
	local i
	for i in $(seq $many); do
		wait "${pids[$i]}" || fail "$1: build $i failed: $(cat "$work/log-$i")"
	done
}
declare -a pids

say "$many builds: each distinct step runs once"
for round in $(seq "$rounds"); do
	for i in $(seq $many); do start "$i" "once$round" log; done
	all_done "together"
	right 1 "once$round"
	right $many "once$round"
	steps=$(find "$CBUILD_ROOT/cachemounts" -name steps -exec cat {} + | grep -- "-once$round\$")
	is "steps of round $round" "$(sort <<<"$steps" | uniq -d)" ""
	is "and all of them" "$(wc -l <<<"$steps")" "$((1 + 4 + many))"
done
sound "builds"

say "beside prune in a loop"
(while :; do "$CBUILD" prune -a -q >"$work/prune.log" 2>&1 || { cp "$work/prune.log" "$work/prune.failed"; exit 1; }; done) &
pruner=$!
for round in $(seq "$rounds"); do
	for i in $(seq $many); do start "$i" "prune$round"; done
	all_done "beside prune"
	for i in $(seq $many); do right "$i" "prune$round"; done
done
kill -0 $pruner 2>/dev/null || fail "prune failed: $(cat "$work/prune.failed")"
kill $pruner
wait $pruner 2>/dev/null || true
sound "prune"

say "under SIGKILL"
for round in $(seq "$rounds"); do
	for i in $(seq $many); do start "$i" "kill$round"; done
	"$CBUILD" prune -a -q >/dev/null 2>&1 &
	pids[0]=$!
	sleep "0.$((RANDOM % 10))"
	{
		for i in $(seq 0 $many); do
			kill -KILL "${pids[$i]}" || true
			[ $((RANDOM % 3)) != 0 ] || sleep "0.0$((RANDOM % 10))"
		done
		for i in $(seq 0 $many); do wait "${pids[$i]}" || true; done
	} 2>/dev/null
	cb fsck --quick
	has "the store is sound after kills" "$out" "no problem"
done
for i in 1 2 3 4; do
	start "$i" kill1
	wait "${pids[$i]}" || fail "after the kills: $(cat "$work/log-$i")"
	right "$i" kill1
done
sound "kills"
is "temporary files" "$(find "$CBUILD_ROOT/tmp" -mindepth 1 | head -n 3)" ""

if ! is_root; then
	say "a full disk: only as root"
	exit
fi
say "a disk that fills up"
mkdir "$work/small"
cat >"$work/full.sh" <<'END'
set -eu
mount -t tmpfs -o size=12m tmpfs "$work/small"
export CBUILD_ROOT=$work/small/store
"$CBUILD" build -q -t kept:1 "$context" >/dev/null
for round in $(seq "$rounds"); do
	pids=
	for i in 1 2 3 4; do
		cat >"$work/Fill-$i" <<-X
			FROM scratch AS base
			COPY busybox /bin/busybox
			RUN ["/bin/busybox", "--install", "-s", "/bin"]
			FROM base
			RUN dd if=/dev/urandom of=/one bs=64k count=$((24 + i * 4)) 2>&1 && echo $round-$i
			RUN dd if=/dev/urandom of=/two bs=64k count=32 2>&1
			RUN dd if=/dev/urandom of=/three bs=64k count=64 2>&1
		X
		"$CBUILD" build --progress=plain -f "$work/Fill-$i" -t "full:$i" "$context" >"$work/full-$i" 2>&1 &
		pids="$pids $!"
	done
	for pid in $pids; do
		status=0
		wait "$pid" || status=$?
		echo "status $status"
	done
	cat "$work"/full-?
	"$CBUILD" prune -q >/dev/null
	"$CBUILD" fsck
	"$CBUILD" run kept:1 echo "kept image runs"
done
END
status 0 env work="$work" context="$context" rounds="$rounds" unshare --mount bash "$work/full.sh"
has "somebody was told" "$out" "o space left on device"
hasnt "every build had room" "$out" "status 0
status 0
status 0
status 0"
has "the store is sound" "$out" "no problem"
hasnt "the store is sound" "$out" "problem:"
has "what was there is whole" "$out" "kept image runs"
hasnt "no bug is blamed" "$out" "internal error"

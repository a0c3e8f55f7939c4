# users: any
# Independent stages run side by side, the graph prints, and a failure stops the others at once.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need busybox
export CBUILD_EXAMPLES=$work/examples

say "eight sleeping stages overlap"
start=$(date +%s%N)
cb build --help >/dev/null
status 0 "$CBUILD_SOURCE/examples/build" fanout -o "type=local,dest=$work/out"
took=$((($(date +%s%N) - start) / 1000000))
say "took $took ms"
is "results" "$(cat "$work"/out/[1-8] | tr '\n' ' ')" "1 2 3 4 5 6 7 8 "
# One second of sleep, and time enough for a slow machine; one after another they sleep eight.
checks=$((checks + 1))
[ "$took" -lt 6000 ] || fail "took $took ms: the stages did not overlap"

say "the graph"
for format in text dot json; do
	cb graph --format "$format" "$CBUILD_EXAMPLES/fanout"
	has "$format names the steps" "$out" "sleep 1; echo 8"
done
echo "$out" | jq -e . >/dev/null || fail "the JSON graph is no JSON"

say "a failing stage cancels the rest"
mkdir "$work/failing"
cp "$CBUILD_EXAMPLES/fanout/busybox" "$work/failing"
cat >"$work/failing/Buildfile" <<'END'
FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
FROM base AS slow
RUN echo slow started; sleep 300; echo slow ended
FROM base AS broken
RUN sleep 1; echo now it fails; exit 3
FROM scratch
COPY --from=slow /x /
COPY --from=broken /x /
END
# From the failure to the end of cbuild: a second. A loaded machine gets three attempts.
for attempt in 1 2 3; do
	at=
	while read -r line; do
		[ -n "$at" ] || case $line in *" now it fails") at=$(date +%s%N) ;; esac
		echo "$line"
	done < <("$CBUILD" build --progress plain "$work/failing" 2>&1) >"$work/failing.log"
	took=$((($(date +%s%N) - at) / 1000000))
	say "attempt $attempt: $took ms"
	has "names the failed step" "$(cat "$work/failing.log")" "exit code: 3"
	! pgrep -f "sleep 300" -u "$(id -u)" >/dev/null || fail "the sleeping step still runs"
	[ "$took" -ge 1000 ] || break
done
checks=$((checks + 1))
[ "$took" -lt 1000 ] || fail "took $took ms from the failure to the end"

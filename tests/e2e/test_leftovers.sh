# users: any single
# Nothing is left behind: after success, failure, SIGINT, SIGTERM, and SIGKILL at random moments; the next build works.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need pgrep python3
marker=987$$

mkdir "$work/context"
cp /bin/busybox "$work/context"
dd if=/dev/urandom of="$work/context/data" bs=64k count=32 status=none
cat >"$work/context/Buildfile" <<END
FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
FROM base AS a
RUN sleep 0.1; echo a > /a
FROM base AS b
ARG NONCE
RUN --mount=type=cache,target=/c --mount=type=secret,id=s echo \$NONCE > /b; echo \$NONCE >/c/\$NONCE; (sleep $marker & ); cat /b
COPY data /
FROM base
COPY --from=a /a /
COPY --from=b /b /
RUN sleep 0.1
END

# A build must leave no mount, process or temporary file. What a killed one left may stay until the next starts.
clean() {
	local what=$1 i
	for i in $(seq 50); do
		pgrep -f "^(/bin/)?(busybox )?sleep $marker" >/dev/null || break
		sleep 0.1
	done
	[ "$i" -lt 50 ] || fail "$what: a process of the build still runs: $(pgrep -af "sleep $marker")"
	checks=$((checks + 1))
	! grep -q "$CBUILD_ROOT" /proc/self/mountinfo || fail "$what: mounts are left: $(grep "$CBUILD_ROOT" /proc/self/mountinfo)"
	if [ "${2-}" != killed ]; then
		is "$what: temporary files" "$(find "$CBUILD_ROOT/tmp" -mindepth 1 2>/dev/null | head -n 3)" ""
	fi
}

say "success and failure"
cb build --build-arg NONCE=1 "$work/context"
clean success
sed 's/^RUN sleep 0.1$/RUN exit 1/' "$work/context/Buildfile" >"$work/failing"
status 1 "$CBUILD" build -f "$work/failing" --build-arg NONCE=2 "$work/context"
clean failure

say "signals"
for signal in INT TERM; do
	want=130
	[ $signal = INT ] || want=143
	sed "s/^RUN sleep 0.1$/RUN sleep $marker/" "$work/context/Buildfile" >"$work/waiting"
	"$CBUILD" build -f "$work/waiting" --build-arg NONCE=$signal "$work/context" >"$work/log" 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		! pgrep -f "sleep $marker" >/dev/null || break
		sleep 0.1
	done
	kill -$signal $pid
	got=0
	wait $pid || got=$?
	is "status after SIG$signal" "$got" "$want"
	clean "SIG$signal"
done

say "SIGKILL at random moments, of cbuild alone or of its process group"
python3 "$here/soak.py" "${CBUILD_KILLS:-30}" "$work/context" -o "type=oci,dest=$work/out.tar" --secret id=s,env=HOME || fail "see above"
checks=$((checks + 1))
clean "SIGKILL" killed
cb build --build-arg NONCE=last -o "type=oci,dest=$work/out.tar" "$work/context"
clean "after the kills"
is "and it is right" "$(oci_file "$work/out.tar" /b)" last

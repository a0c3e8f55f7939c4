# users: any single
# What a RUN step sees from inside on every rung, beside docker's BuildKit and buildah: each difference is explained in
# docs/containment.md, or this fails.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need python3 cc jq
# Proxies are for steps of all builders, but not by the same rules, and not on every host.
unset http_proxy https_proxy no_proxy ftp_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY FTP_PROXY ALL_PROXY
printf 'int main(void) { return 0; }\n' >"$work/static.c"
cc -static -o "$work/static" "$work/static.c" 2>/dev/null || skip "cc cannot make static programs"

python3 "$CBUILD_SOURCE/tests/containment/compare.py" "$work" || fail "see above"
checks=$((checks + 1))

say "a step cannot change the devices of the next"
context devices <<'END'
FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN chmod 600 /dev/null /dev/zero 2>&1; chown 5:5 /dev/full 2>&1; touch /dev/random 2>&1; echo x >>/dev/null; echo x >/dev/null && chmod 777 /proc/timer_list 2>&1; echo tried
RUN stat -c '%a %u' /dev/null /dev/zero /dev/full | sort -u
END
cp /bin/busybox "$context/"
nodes() { stat -c '%n %a %u %g' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; }
host=$(nodes)
for isolation in $("$CBUILD" doctor --format json | jq -r '.rungs[] | select(.works) | .name'); do
	CBUILD_ROOT=$work/store.$isolation cb --isolation "$isolation" --progress plain "$context"
	facts=$(sed -nE 's/^#[0-9]+ [0-9.]+ ([0-9]+ [0-9]+)$/\1/p' <<<"$out")
	case $facts in
	"666 0" | "666 65534") checks=$((checks + 1)) ;;
	*) fail "$isolation: the devices have changed: $out" ;;
	esac
	is "$isolation: the devices of the host are as they were" "$(nodes)" "$host"
done

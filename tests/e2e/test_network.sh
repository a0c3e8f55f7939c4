# users: any single
# Networks of steps: their own one, connected by pasta, which reaches what the host reaches but not the host's loopback
# and abstract sockets; none; the host's, and the one warning when it has to be that.
# shellcheck shell=bash
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need python3 jq

cat >"$work/server.py" <<'END'
import http.server, socket, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"from " + self.server.name)
    def log_message(self, *args): pass
def serve(address, name):
    server = http.server.HTTPServer((address, 0), Handler); server.name = name
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.connect(("198.51.100.1", 9))
host = probe.getsockname()[0]
abstract = socket.socket(socket.AF_UNIX); abstract.bind("\0" + sys.argv[1]); abstract.listen()
print(host, serve(host, b"outside"), serve("127.0.0.1", b"loopback"), flush=True)
threading.Event().wait()
END
exec 8< <(exec python3 "$work/server.py" "cbuild-e2e-$$" 2>"$work/server.err")
server=$!
at_end() { kill $server; }
read -r host port loopback <&8 || skip "this host has no route: $(tail -n1 "$work/server.err")"

# reach NAME BUILD-OPTIONS...: what a step sees, in $out
reach() {
	context "$1" <<END
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN (printf 'GET / HTTP/1.0\r\n\r\n'; sleep 1) | nc -w 5 $host $port; echo "outside: \$?"
RUN (printf 'GET / HTTP/1.0\r\n\r\n'; sleep 1) | nc -w 5 127.0.0.1 $loopback; echo "loopback: \$?"
RUN grep -c cbuild-e2e-$$ /proc/net/unix; ls /sys/class/net | tr '\n' ' '; cat /etc/resolv.conf
END
	cp /bin/busybox "$context/"
	shift
	cb --no-cache "$@" "$context"
}

say "none and the host's"
reach none --network none
hasnt "nothing is reached" "$out" "from outside"
hasnt "not the loopback device of the host" "$out" "from loopback"
reach host --network host
has "the host's addresses" "$out" "from outside"
has "and its loopback" "$out" "from loopback"
hasnt "which was asked for" "$out" "share the host's network"

say "without pasta: the host's, with one warning"
mkdir "$work/bin"
for program in newuidmap newgidmap; do
	! command -v "$program" >/dev/null || ln -s "$(command -v "$program")" "$work/bin/"
done
context plain <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "true"]
RUN ["/bin/busybox", "echo", "again"]
END
cp /bin/busybox "$context/"
status 0 env PATH="$work/bin" "$CBUILD" --no-cache "$context"
is "one warning" "$(grep -c "^#.* WARNING: steps share the host's network" <<<"$out")" 1
has "with the reason" "$out" "pasta is not installed (package passt)"

say "a helper that fails or hangs"
printf '#!/bin/sh\necho "no tap for you" >&2; exit 1\n' >"$work/bin/pasta"
chmod +x "$work/bin/pasta"
if [ -r /dev/net/tun ] && [ -w /dev/net/tun ]; then
	status 0 env PATH="$work/bin" "$CBUILD" --no-cache "$context"
	has "its last words" "$out" "pasta failed: no tap for you"
fi

command -v pasta >/dev/null || skip "pasta is not installed; the rest was seen"
[ -r /dev/net/tun ] && [ -w /dev/net/tun ] || skip "/dev/net/tun cannot be opened by this user; the rest was seen"

say "a network of its own"
reach own
hasnt "no warning" "$out" "share the host's network"
has "what the host reaches is reached" "$out" "from outside"
hasnt "the host's loopback services are not" "$out" "from loopback"
has "its abstract sockets neither" "$out" " 0
"
has "one device" "$out" "lo "
hasnt "no loopback name server" "$out" "nameserver 127."

say "a helper that fails once"
cat >"$work/bin/pasta" <<END
#!/bin/sh
[ -e "$work/tried" ] || { touch "$work/tried"; echo "no luck" >&2; exit 1; }
PATH=$PATH exec pasta "\$@"
END
context once <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "true"]
END
cp /bin/busybox "$context/"
status 0 env PATH="$work/bin:$PATH" "$CBUILD" --no-cache "$context"
hasnt "is started again" "$out" "share the host's network"
[ -e "$work/tried" ] || fail "the helper was not started"

if is_root && "$CBUILD" doctor --format json | jq -e '.rungs[] | select(.name == "ranges" and .works)' >/dev/null; then
	say "root that has mapped all ids to themselves"
	CBUILD_ROOT=$work/mapped cb --no-cache --isolation ranges "$context"
	hasnt "has a network of its own" "$out" "share the host's network"
fi

say "it ends with the build"
context long <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "echo running; sleep 600"]
END
cp /bin/busybox "$context/"
"$CBUILD" --no-cache "$context" >"$work/long.out" 2>&1 &
victim=$!
for _ in $(seq 300); do
	! grep -q ' running' "$work/long.out" || break
	sleep 0.1
done
# The supervisor is a child of cbuild (for ordinary users, of the cbuild inside).
supervisor=$(pgrep -x cbuild-network -u "$(id -u)" | while read -r pid; do
	at=$pid
	while [ "$at" -gt 1 ]; do
		[ "$at" != "$victim" ] || echo "$pid"
		at=$(awk '/^PPid:/ { print $2 }' "/proc/$at/status" 2>/dev/null || echo 0)
	done
done)
[ -n "$supervisor" ] || fail "no helper of the network is running"
pasta=$(pgrep -P "$supervisor" | head -n1)
[ -n "$pasta" ] || fail "no pasta is running"
kill -KILL "$victim"
wait "$victim" 2>/dev/null || true
for _ in $(seq 100); do
	[ -d "/proc/$pasta" ] || break
	sleep 0.1
done
[ ! -d "/proc/$pasta" ] || fail "pasta outlives a killed build"
checks=$((checks + 1))

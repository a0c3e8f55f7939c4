# users: any
# --load: into a real docker, a real podman, and engines of our own that take it, refuse it, or do nothing.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need python3 openssl jq
pids=()
leave() {
	local status=$?
	set +e
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
	wait 2>/dev/null
	(exit $status)
	finish
}
trap leave EXIT
unset DOCKER_HOST CONTAINER_HOST DOCKER_CERT_PATH DOCKER_TLS_VERIFY XDG_RUNTIME_DIR
export TMPDIR=$work
context load <<'EOF2'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "dd", "if=/dev/urandom", "of=/noise", "bs=1M", "count=8"]
LABEL made=here
EOF2
cp /bin/busybox "$context/busybox"
cd "$context" || exit

# engine MODE: one of our own; its socket in $socket.
engine() {
	socket=$work/$1.socket
	python3 "$here/engine.py" "$socket" "$1" >"$work/$1.log" 2>&1 &
	pids+=($!)
	for _ in $(seq 100); do [ -S "$socket" ] || sleep 0.1; done
}

say "an engine takes it"
engine take
export DOCKER_HOST=unix://$socket
cb --load -t load:1 -t example.com/team/load:2 --iidfile "$work/iid" --progress plain .
has "progress" "$out" "loading into docker"
is "what came" "$(cat "$work/take.log")" "/images/load?quiet=1 application/x-tar load:1 example.com/team/load:2"
cb images --format json
is "the store has no name for it" "$out" "[]"
cb -o type=docker -t load:3 .
is "type=docker without a destination is the same" "$(tail -n 1 "$work/take.log")" "/images/load?quiet=1 application/x-tar load:3"
cb --load=docker -o type=image -t load:4 .
cb images --format json
is "beside other outputs" "$(jq -r '.[].name' <<<"$out")" docker.io/library/load:4

say "over TLS with certificates"
mkdir "$work/tls" "$work/client"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/tls/ca.key" -out "$work/tls/ca.pem" -days 2 -subj /CN=test-ca 2>/dev/null
for name in server client; do
	openssl req -newkey rsa:2048 -nodes -keyout "$work/tls/$name.key" -out "$work/tls/$name.csr" -subj /CN=$name 2>/dev/null
	openssl x509 -req -in "$work/tls/$name.csr" -CA "$work/tls/ca.pem" -CAkey "$work/tls/ca.key" -CAcreateserial -days 2 \
		-out "$work/tls/$name.pem" -extfile <(echo subjectAltName=DNS:localhost,IP:127.0.0.1) 2>/dev/null
done
cp "$work/tls/ca.pem" "$work/client/ca.pem"
cp "$work/tls/client.pem" "$work/client/cert.pem"
cp "$work/tls/client.key" "$work/client/key.pem"
python3 "$here/engine.py" "tls:$work/port" take "$work/tls" >"$work/tls.log" 2>&1 &
pids+=($!)
for _ in $(seq 100); do [ -s "$work/port" ] || sleep 0.1; done
DOCKER_HOST=tcp://127.0.0.1:$(cat "$work/port")
status 0 env DOCKER_CERT_PATH="$work/client" "$CBUILD" --load -t load:5 .
has "it came" "$(cat "$work/tls.log")" load:5
mkdir "$work/nobody"
cp "$work/tls/ca.pem" "$work/nobody/"
status 126 env DOCKER_CERT_PATH="$work/nobody" "$CBUILD" --load -t load:6 .
status 126 "$CBUILD" --load -t load:6 .
has "plain to TLS" "$out" "docker at http://127.0.0.1"

say "what goes wrong"
for mode in refuse status; do
	engine $mode
	export DOCKER_HOST=unix://$socket
	status 125 "$CBUILD" --load -t load:7 .
	case $mode in
	refuse) has "$mode" "$out" "the engine refuses the image: bad layer" ;;
	*) has "$mode" "$out" "the engine refuses the image: no space left on device" ;;
	esac
done
engine early
export DOCKER_HOST=unix://$socket
got=0
"$CBUILD" --load -t load:7 . >"$work/early" 2>&1 || got=$?
# Its answer may be lost when it no longer reads.
case $got in 125 | 126) ;; *) fail "an engine that ends early: status $got: $(cat "$work/early")" ;; esac
has "it ends early" "$(cat "$work/early")" "the engine"
engine hang
export DOCKER_HOST=unix://$socket
"$CBUILD" --load -t load:8 . >"$work/hang" 2>&1 &
pid=$!
for _ in $(seq 100); do grep -q "sending tarball" "$work/hang" || sleep 0.1; done
kill -INT "$pid"
begin=$SECONDS
got=0
wait "$pid" || got=$?
is "interrupted" "$got" 130
[ $((SECONDS - begin)) -lt 10 ] || fail "an interrupted load took $((SECONDS - begin)) s"
export DOCKER_HOST=unix://$work/none
status 125 "$CBUILD" --load -t load:9 .
has "nobody there" "$out" "--load: DOCKER_HOST: $work/none: No such file"
export DOCKER_HOST=ssh://somewhere
status 125 "$CBUILD" --load -t load:9 .
has "ssh" "$out" "only unix:// and tcp://"
unset DOCKER_HOST
mkdir "$work/nothing"
for program in newuidmap newgidmap; do
	! command -v $program >/dev/null || ln -s "$(command -v $program)" "$work/nothing/"
done
if [ ! -S /var/run/docker.sock ] && [ ! -S /run/podman/podman.sock ]; then
	status 125 env PATH="$work/nothing" "$CBUILD" --load -t load:9 .
	has "neither" "$out" "docker does not answer"
	has "nor" "$out" "podman is not installed"
	has "what to do" "$out" "type=docker,dest=FILE"
fi
status 2 "$CBUILD" --load=other -t load:9 .
has "no engine" "$out" "docker, podman or auto"
status 2 "$CBUILD" --load --platform linux/amd64,linux/arm64 -t load:9 .
if command -v podman >/dev/null || [ -S /var/run/docker.sock ]; then
	has "several platforms" "$out" "an image of one platform"
fi

mkdir "$work/fake"
for last in "cat >/dev/null" "head -c 1000 >/dev/null"; do
	printf '#!/bin/sh\n[ "$*" = "load --quiet" ] || exit 9\n%s\necho "Error: no room" >&2\nexit 125\n' "$last" >"$work/fake/podman"
	chmod 755 "$work/fake/podman"
	status 125 env PATH="$work/fake:$PATH" "$CBUILD" --load=podman -t load:2 .
	has "podman fails" "$out" "podman load: Error: no room"
done

say "podman"
if command -v podman >/dev/null; then
	printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/pod"\nrunroot = "%s/podrun"\n' "$work" "$work" >"$work/storage.conf"
	export CONTAINERS_STORAGE_CONF=$work/storage.conf XDG_RUNTIME_DIR=$work/run
	mkdir -m 700 "$work/run"
	if podman images >/dev/null 2>&1; then
		cb --load=podman -t load:1 --iidfile "$work/iid" --progress plain .
		has "progress" "$out" "loading into podman"
		is "its id" "$(podman inspect --type image --format '{{.Id}} {{index .RepoTags 0}}' load:1)" \
			"$(cut -d: -f2 "$work/iid") docker.io/library/load:1"
		is "its label" "$(podman inspect --type image --format '{{index .Config.Labels "made"}}' load:1)" here
	else
		say "SKIPPED: podman does not work here: $(podman images 2>&1 | tail -n 1)"
	fi
	unset CONTAINERS_STORAGE_CONF XDG_RUNTIME_DIR
else
	say "SKIPPED: podman is not installed"
fi

say "docker"
if is_root && command -v dockerd >/dev/null && command -v docker >/dev/null; then
	mkdir "$work/docker"
	echo '{}' >"$work/docker/daemon.json"
	export DOCKER_HOST=unix://$work/docker/socket DOCKER_CONFIG=$work/docker/client
	dockerd --config-file "$work/docker/daemon.json" --data-root "$work/docker/data" --exec-root "$work/docker/run" \
		--pidfile "$work/docker/pid" --iptables=false --ip6tables=false --bridge=none -H "$DOCKER_HOST" >"$work/docker/log" 2>&1 &
	docker=$!
	pids+=("$docker")
	for _ in $(seq 300); do
		docker info >/dev/null 2>&1 && break
		kill -0 "$docker" 2>/dev/null || break
		sleep 0.2
	done
	if docker info >/dev/null 2>&1; then
		cb --load -t load:1 -t example.com/load:2 --iidfile "$work/iid" .
		is "its id" "$(docker inspect --format '{{.Id}} {{index .Config.Labels "made"}}' load:1)" "$(cat "$work/iid") here"
		is "its other name" "$(docker inspect --format '{{.Id}}' example.com/load:2)" "$(cat "$work/iid")"
		docker save -o "$work/saved.tar" load:1
		is "its file" "$(oci_file "$work/saved.tar" noise | wc -c)" 8388608
		status 0 docker rmi load:1 example.com/load:2
	else
		say "SKIPPED: dockerd does not start here: $(tail -n 1 "$work/docker/log")"
	fi
	kill "$docker" 2>/dev/null || true
	wait "$docker" 2>/dev/null || true
	awk -v w="$work/docker/" 'index($5, w) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r mount; do umount "$mount"; done
else
	say "SKIPPED: docker (root, dockerd and docker: .ci/packages peers)"
fi

# users: any
# Every command of the README runs and shows what the README says; one that this test does not know fails it.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need cc busybox
readme=$CBUILD_SOURCE/README.md
[ -f "$readme" ] || fail "no README.md"
mkdir "$work/bin" "$work/project"
ln -s "$CBUILD" "$work/bin/cbuild"
export PATH=$work/bin:$PATH CBUILD_EXAMPLES=$work/examples
cp -R "$CBUILD_SOURCE/examples/hello/." "$work/project"
"$work/project/prepare"
cd "$work/project"

# The commands: lines of sh blocks, and those behind "$ " of console blocks.
awk '/^```(sh|console)$/ { kind = substr($0, 4); next } /^```/ { kind = "" }
	kind == "sh" { print } kind == "console" && /^\$ / { print substr($0, 3) }' "$readme" | sed 's/  *#.*//; s/ \[COMMAND...\]//' >"$work/commands"

while IFS= read -r command <&3; do
	say "$command"
	case $command in
	./tests/run) ;;			# what runs this test
	./examples/quickstart) ;;	# run by the test of that name
	"./examples/build busybox -q")
		status 0 env CBUILD="$CBUILD" "$CBUILD_SOURCE/examples/build" busybox -q
		has "image ID" "$out" sha256:
		;;
	"./build/release/cbuild run examples/busybox")
		cb run examples/busybox
		want=$(awk -v "c=\$ $command" '$0 == c { on = 1; next } /^```/ { on = 0 } on { print }' "$readme")
		is "output in the README" "$out" "${want/x86_64/$(uname -m)}"
		;;
	"printf "*)
		status 1 sh -c "$command"
		want=$(awk -v "c=\$ $command" 'index($0, "$ printf") == 1 { on = 1; next } /^```/ { on = 0 } on { print }' "$readme")
		is "output in the README" "$out" "$want"
		;;
	"cbuild -t app:1 ." | "cbuild -f Buildfile -o type=oci,dest=app.tar ." | "cbuild -o type=docker,dest=app.tar ." | "cbuild -o out ." | \
		"cbuild graph ." | "cbuild run app:1" | "cbuild parse Buildfile" | "cbuild check ." | "cbuild fmt --check Buildfile" | "cbuild flatten ." | \
		"cbuild doctor" | "cbuild build --explain ." | "cbuild cache-mount ls" | "cbuild du" | "cbuild policy --keep-storage 20g" | "cbuild fsck --repair" | \
		"cbuild images" | "cbuild -t app:1 --output-env result.env ." | "cbuild build --reproducible -t app:1 .")
		status 0 sh -c "$command"
		;;
	"cbuild size app:2 app:1" | "cbuild diff app:1 app:2")
		status 0 "$CBUILD" tag app:1 app:2
		# shellcheck disable=SC2086 # words
		status 0 $command
		;;
	"cbuild build --cache-from REF --cache-to REF ." | "cbuild build --cache-mount-from REF --cache-mount-to REF .")
		registry_start
		status 0 sh -c "${command//REF/$registry/cache:app}"
		;;
	"cbuild index create --push NAME A-amd64 A-arm64")
		registry_start
		for platform in amd64 arm64; do
			cb --platform linux/$platform -t "$registry/both:1-$platform" --push .
		done
		command=${command/NAME/$registry/both:1}
		status 0 sh -c "${command// A-/ $registry/both:1-}"
		status 0 skopeo inspect --raw --tls-verify=false "docker://$registry/both:1"
		has "both platforms" "$out" '"architecture": "arm64"'
		;;
	"cbuild -t registry.example.com/app:1 --platform linux/amd64,linux/arm64 --push .")
		registry_start
		status 0 sh -c "${command/registry.example.com/$registry}"
		status 0 skopeo inspect --raw --tls-verify=false "docker://$registry/app:1"
		has "one index" "$out" '"architecture": "arm64"'
		;;
	"cbuild -t app:1 --load .")
		mkdir -p "$work/engine"
		printf '#!/bin/sh\ncat >"%s/engine/loaded.tar"\n' "$work" >"$work/engine/podman"
		chmod 755 "$work/engine/podman"
		status 0 env -u DOCKER_HOST PATH="$work/engine:$PATH" sh -c "${command/--load/--load=podman}"
		status 0 skopeo inspect --raw "docker-archive:$work/engine/loaded.tar"
		;;
	"cbuild save app:1 | docker load")
		cbuild save app:1 >"$work/saved.tar"
		status 0 skopeo inspect --raw "docker-archive:$work/saved.tar"
		;;
	"cbuild -t registry.example.com/app:1 --push .")
		registry_start
		status 0 sh -c "${command/registry.example.com/$registry}"
		status 0 curl -fsS "http://$registry/v2/app/manifests/1" -H 'Accept: application/vnd.oci.image.manifest.v1+json'
		;;
	*) fail "this test does not know the README's command: $command" ;;
	esac
done 3<"$work/commands"
[ "$(grep -c . "$work/commands")" -ge 10 ] || fail "only $(grep -c . "$work/commands") commands were found in the README"

say "options and exit statuses of the README exist"
cb build --help
grep '^| `-' "$readme" | grep -oE -- '--[a-z-]+' | sort -u >"$work/options"
while IFS= read -r option; do
	has "option of the README" "$out" " $option"
done <"$work/options"

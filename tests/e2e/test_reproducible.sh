# Examples give the same image: one step after the other and eight at a time, as root and as an ordinary user, from
# contexts with other times. CBUILD_ALL_EXAMPLES=1 takes all of them, which takes minutes.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need cc jq
examples="busybox fanout hello"
if [ -n "${CBUILD_ALL_EXAMPLES-}" ]; then
	need go mmdebstrap
	examples="$examples goroutines multistage"
fi
export CBUILD_EXAMPLES=$CBUILD_CACHE/examples SOURCE_DATE_EPOCH=1700000000

# Each way has a store of its own, so that nothing is taken from another.
digest() { jq -r '."containerimage.digest"' "$1"; }
build() { # NAME STORE OPTION...
	local name=$1 store=$2
	shift 2
	status 0 "$CBUILD_SOURCE/examples/build" "$name" --reproducible --root "$work/$store" --metadata-file "$work/$store.$name.json" "$@"
}

say "jobs, and another store"
for name in $examples; do
	build $name store-8 -j8
	find "$CBUILD_EXAMPLES/$name" -maxdepth 1 -exec touch -h {} +
	build $name store-1 -j1
	is "$name" "$(digest "$work/store-1.$name.json")" "$(digest "$work/store-8.$name.json")"
done
rm -rf "$work/store-1" "$work/store-8"

others=0
for user in cbuild-test-ranges cbuild-test-single; do
	is_root && id $user >/dev/null 2>&1 || continue
	say "as $user"
	others=1
	mkdir "$work/$user"
	cp "$CBUILD" "$work/$user/cbuild"
	for name in $examples; do
		# Its Debian root has files of other owners.
		[ $user != cbuild-test-single ] || [ $name != multistage ] || continue
		cp -R "$CBUILD_EXAMPLES/$name" "$work/$user/"
		chmod -R a+rX "$work/$user/$name"
	done
	chown $user "$work/$user"
	for context in "$work/$user"/*/; do
		context=${context%/}
		name=${context##*/}
		status 0 runuser -u $user -- env -i PATH="$PATH" HOME="$work/$user" SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH ASAN_OPTIONS="${ASAN_OPTIONS-}" \
			"$work/$user/cbuild" build -t "examples/$name" --reproducible --root "$work/$user/.store" --metadata-file "$work/$user/$name.json" \
			--build-context "go=$work/$user/goroutines/toolchain" "$context"
		is "$name" "$(digest "$work/$user/$name.json")" "$(digest "$work/store-8.$name.json")"
	done
	rm -rf "${work:?}/$user"
done
[ $others = 1 ] || say "no other users here: the comparison with ordinary users was left out"

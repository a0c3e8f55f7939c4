# users: any
# Every example builds and does what its first line says.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need cc go mmdebstrap
export CBUILD_EXAMPLES=$CBUILD_CACHE/examples
example() { status 0 "$CBUILD_SOURCE/examples/build" "$@"; }

say hello
example hello
cb run examples/hello
has "default argument" "$out" "Hello, world, from an image of one file"
cb run examples/hello you
has "argument" "$out" "Hello, you, from an image of one file"

say busybox
example busybox
cb run examples/busybox
has "stages" "$out" "Hello from Linux"
has "heredoc" "$out" "The answer is 42"

say multistage
example multistage -o type=image -o "type=oci,dest=$work/primes.tar"
cb run examples/multistage
is "primes" "$(echo "$out" | tail -n 1)" 97
is "only the program is shipped" "$(oci_list "$work/primes.tar" | awk '{ print $5 }')" primes
example multistage --build-arg LIMIT=1000
cb run examples/multistage
is "build argument" "$(echo "$out" | tail -n 1)" 997

say goroutines
example goroutines -o type=image -o "type=oci,dest=$work/go.tar"
is "only the program is shipped" "$(oci_list "$work/go.tar" | awk '{ print $5 }')" goroutines
start=$(date +%s)
cb run examples/goroutines
took=$(($(date +%s) - start))
is "five goroutines, then the end" "$out" "Goroutine 0 finished
Goroutine 1 finished
Goroutine 2 finished
Goroutine 3 finished
Goroutine 4 finished
All Goroutines finished"
checks=$((checks + 1))
[ "$took" -ge 5 ] && [ "$took" -lt 10 ] || fail "took $took seconds, not about 5"

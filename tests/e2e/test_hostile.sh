# users: any single
# Attacks by Buildfiles, contexts, archives, images, servers and programs: nothing outside changes; see tests/hostile.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need python3 busybox cc
printf 'int main(void) { return 0; }\n' >"$work/static.c"
cc -static -o "$work/static" "$work/static.c" 2>/dev/null || skip "cc cannot make static programs"

python3 "$CBUILD_SOURCE/tests/hostile/attack.py" "$work" "$CBUILD_SOURCE"/tests/hostile/*.rows || fail "see above"
checks=$((checks + 1))
is "temporary files of the store" "$(ls -A "$CBUILD_ROOT/tmp")" ""

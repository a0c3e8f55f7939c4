# users: any
# Tables of wrong Buildfiles, contexts, options, images and stores, each with the exact text and exit status of cbuild.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need python3 busybox

say "tables"
python3 "$here/bad_input/drive.py" "$work" "$here"/bad_input/*.rows || fail "see above"
checks=$((checks + 1))

say "what is left of all that"
is "temporary files of the store" "$(ls -A "$CBUILD_ROOT/tmp")" ""

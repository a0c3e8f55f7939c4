# The first command of the README, on a copy of the tree.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need git
[ -d "$CBUILD_SOURCE/.git" ] || [ -f "$CBUILD_SOURCE/.git" ] || skip "not a checkout"
mkdir "$work/clone"
(cd "$CBUILD_SOURCE" && git ls-files -z | tar --null -T - -cf -) | tar -C "$work/clone" -xf -
status 0 "$work/clone/examples/quickstart"
has "the image ran" "$out" "The answer is 42"
status 0 "$work/clone/examples/quickstart"
has "again" "$out" "The answer is 42"
say "install"
status 0 cmake --install "$work/clone/build/release" --prefix "$work/prefix"
for file in bin/cbuild share/man/man1/cbuild.1 share/bash-completion/completions/cbuild share/zsh/site-functions/_cbuild \
	share/fish/vendor_completions.d/cbuild.fish; do
	[ -s "$work/prefix/$file" ] || [ -s "$work/prefix/$file.gz" ] || fail "$file is not installed"
done
is "it runs from there" "$("$work/prefix/bin/cbuild" --version | head -n 1 | cut -d' ' -f1)" cbuild

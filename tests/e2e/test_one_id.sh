# users: any single
# Owners: kept where there are ids for them; where there is one id only, files are root's and that is told once.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
push_busybox

context owners <<END
FROM $registry/busybox
COPY --chown=5:6 f /f
ADD --chown=5:6 a.tar /a/
ADD a.tar /b/
USER user
WORKDIR /w
USER root
RUN --mount=type=cache,target=/c,uid=1000,mode=0777 touch /c/x
END
touch "$context/f" "$context/in"
tar -C "$context" --owner=7 --group=8 --numeric-owner -cf "$context/a.tar" in
ids=$("$CBUILD" build --progress plain -o "type=oci,dest=$work/out.tar" "$context" 2>&1) || fail "$ids"
list=$(oci_list "$work/out.tar")
if grep -q 'one user id only: files for 5:6' <<<"$ids"; then
	is "told once" "$(grep -c "^ - .*files for" <<<"$ids")" 1
	has "COPY" "$list" "f 0o644 0:0 0 f"
	has "WORKDIR" "$list" "d 0o755 0:0 - w"
else
	is_root || grep -q "^$(id -un):" /etc/subuid || fail "one id, but not a word about it: $ids"
	has "COPY" "$list" "f 0o644 5:6 0 f"
	has "ADD --chown" "$list" "5:6 0 a/in"
	has "ADD" "$list" "7:8 0 b/in"
	has "WORKDIR" "$list" "d 0o755 1000:1000 - w"
fi

say "a store is for one way of keeping owners"
if ! is_root && grep -q "^$(id -un):" /etc/subuid; then
	rm -f "$work/out.tar"
	status 125 "$CBUILD" build --isolation single -o "type=oci,dest=$work/out.tar" "$context"
	has "says why" "$out" "was made without root, and this cbuild runs with one user id only"
	export CBUILD_ROOT=$work/single
	cb build --isolation single -o "type=oci,dest=$work/out.tar" "$context"
	status 125 "$CBUILD" build "$context"
	has "and the other way" "$out" "was made with one user id only, and this cbuild runs without root"
fi

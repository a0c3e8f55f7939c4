# users: any single
# Owners: recorded where there is one id only, so that programs see what they set and layers are as root makes them.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
push_busybox

context owners <<END
FROM $registry/busybox
COPY --chown=5:6 f /f
ADD --chown=5:6 a.tar /a/
ADD a.tar /b/
USER user
WORKDIR /w
RUN id -u >who && id -G >groups && mkdir d && ln -s x l && mkfifo p && umask 077 && echo >private
USER root
RUN --mount=type=cache,target=/c,uid=1000,mode=0777 touch /c/x
RUN <<steps
set -ex
[ "\$(stat -c %u:%g /f)" = 5:6 ]
[ "\$(stat -c %u:%g /w/d)" = 1000:1000 ]
mkdir /s && chown 3:50 /s && chmod 2775 /s && mkdir /s/below && touch /s/file && ln -s file /s/link
[ "\$(stat -c %a:%u:%g /s/below)" = 2755:0:50 ]
cp /bin/busybox /x && chown 7:8 /x && chmod 6755 /x
[ "\$(stat -c %a:%u:%g /x)" = 6755:7:8 ]
chown 9 /x
[ "\$(stat -c %a:%u:%g /x)" = 755:9:8 ]
cp -a /s /t
[ "\$(stat -c %u:%g /t/link)" = 0:50 ]
mv /s/file /renamed && ln /renamed /again && chown 11 /again
[ "\$(stat -c %u:%g /renamed)" = 11:50 ]
ln -s nowhere /symlink && chown -h 12:13 /symlink
[ "\$(stat -c %u:%g /symlink)" = 12:13 ]
chown 14:15 /f && chown root:root /f
[ "\$(stat -c %u:%g /f)" = 0:0 ]
su user -c 'id -u; id -g; touch /tmp/mine; mkdir /tmp/dir'
[ "\$(stat -c %u:%g /tmp/mine)" = 1000:1000 ]
chroot / id -u || [ ! -e /proc/self ] # of isolation chroot, whose steps cannot call it again
(chown 1000 /dev/stdout) | cat
steps
END
touch "$context/f" "$context/in"
chmod 644 "$context/f" "$context/in"
tar -C "$context" --owner=7 --group=8 --numeric-owner --mtime=@1 -cf "$context/a.tar" in
cb build --progress plain --build-arg SOURCE_DATE_EPOCH=1700000000 -o "type=oci,dest=$work/out.tar" -o "type=tar,dest=$work/flat.tar" "$context"
list=$(oci_list "$work/out.tar")
has "COPY" "$list" "f 0o644 0:0 0 f"
has "ADD --chown" "$list" "5:6 0 a/in"
has "ADD" "$list" "7:8 0 b/in"
has "WORKDIR" "$list" "d 0o755 1000:1000 - w"
has "RUN as another user" "$list" "f 0o600 1000:1000 1 w/private"
has "links" "$list" "l - 1000:1000 - w/l -> x"
has "fifos" "$list" "p 0o644 1000:1000 - w/p"
is "id" "$(oci_file "$work/out.tar" w/who)" 1000
is "groups" "$(oci_file "$work/out.tar" w/groups)" "1000 1500"
has "group of the directory" "$list" "f 0o644 0:50 0 t/file"

say "every way of keeping owners gives the same"
sum=$(sha256sum <"$work/flat.tar")
for isolation in $("$CBUILD" doctor --format json | jq -r '.rungs[] | select(.works) | .name'); do
	CBUILD_ROOT=$work/$isolation cb build --isolation "$isolation" --build-arg SOURCE_DATE_EPOCH=1700000000 \
		-o "type=tar,dest=$work/other.tar" "$context"
	is "$isolation" "$(sha256sum <"$work/other.tar")" "$sum"
done

say "with one id: devices, programs that take an id of their own"
context devices <<END
FROM $registry/busybox
RUN mknod /n c 1 3 && mknod -m 640 /b b 8 1 && chown 0:6 /b && [ "\$(stat -c %F:%t:%T:%g /b)" = "block special file:8:1:6" ]
COPY ids /bin/
RUN cp /bin/ids /bin/asroot && chmod 4755 /bin/asroot && cp /bin/ids /bin/asother && chown 5:6 /bin/asother && chmod 6755 /bin/asother
USER user
RUN /bin/ids && /bin/asroot && /bin/asother && ! chown 5 /etc/passwd
END
printf '%s\n' '#include <stdio.h>' '#include <unistd.h>' 'int main(void)' '{' \
	'	return printf("ids %d %d %d %d\n", getuid(), geteuid(), getgid(), getegid()) < 0;' '}' >"$work/ids.c"
cc -static -o "$context/ids" "$work/ids.c"
export CBUILD_ROOT=$work/single
cb build --progress plain --isolation single -o "type=oci,dest=$work/out.tar" "$context"
has "as told" "$out" "ids 1000 1000 1000 1000"
has "set-user-id" "$out" "ids 1000 0 1000 1000"
has "set-group-id" "$out" "ids 1000 5 1000 6"
list=$(oci_list "$work/out.tar")
has "character device" "$list" "c 0o644 0:0 - n"
has "block device" "$list" "b 0o640 0:6 - b"

say "a store is for one way of keeping owners"
if ! is_root && grep -q "^$(id -un):" /etc/subuid; then
	status 125 "$CBUILD" build "$context"
	has "says why" "$out" "was made with one user id only, and this cbuild runs without root"
	CBUILD_ROOT=$work/ranges status 125 "$CBUILD" build --isolation single -o "type=oci,dest=$work/out.tar" "$context"
	has "and the other way" "$out" "was made without root, and this cbuild runs with one user id only"
fi

# users: single
# Libraries that are loaded when they are needed first, and are not there: an error that says which, not an end without one.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
case $(ldd "$CBUILD") in *libcurl*) skip "linked with libcurl" ;; esac

# What is found first is no library.
mkdir "$work/broken"
for name in libcurl.so.4 libarchive.so.13 libseccomp.so.2; do echo none >"$work/broken/$name"; done
without() { LD_LIBRARY_PATH=$work/broken "$@"; }

say "libcurl"
status 125 without "$CBUILD" pull localhost:1/image
has "says which" "$out" "libcurl.so.4, without which no server can be asked, cannot be loaded"
has "and what to do" "$out" "apt-get install libcurl4"
context fetch <<'END'
FROM scratch
ADD http://localhost:1/file /
END
status 125 without "$CBUILD" build "$context"
has "in a build" "$out" "libcurl.so.4, without which"

say "libarchive"
context archive <<'END'
FROM scratch
ADD a.tar.xz /
END
mkdir "$work/in"
echo hello >"$work/in/hello"
tar -C "$work/in" -cJf "$context/a.tar.xz" .
status 125 without "$CBUILD" build "$context"
has "says which" "$out" libarchive

say "libseccomp"
context plain <<'END'
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "true"]
END
cp /bin/busybox "$context/"
echo '{"defaultAction":"SCMP_ACT_ALLOW"}' >"$work/profile.json"
status 125 without "$CBUILD" build --security-opt "seccomp=$work/profile.json" "$context"
has "says which" "$out" libseccomp

say "a build that needs none of them"
status 0 without "$CBUILD" build "$context"

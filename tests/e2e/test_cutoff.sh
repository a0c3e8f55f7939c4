# users: any
# A step that ran again and gave what an earlier run gave: all that follows comes from the cache. When it must not.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
push_busybox

# statuses ARGUMENTS...: builds; the status of each step, in order, in $steps.
statuses() {
	cb build --progress none --explain=json "$@" "$context"
	steps=$(jq -r '[.steps[].status]|join(" ")' <<<"$out")
}

say "a comment that changes nothing"
# What stands for a compiler leaves comments out.
context comment <<END
FROM $registry/busybox AS build
RUN --mount=type=bind,source=src,target=/src grep -v '^//' /src/main.c > /main.o && echo compiled
RUN cat /main.o > /linked
RUN wc -l < /linked > /count
FROM scratch
COPY --from=build /linked /count /
END
mkdir "$context/src"
printf '// one\nint main;\n' >"$context/src/main.c"
statuses
is "at first" "$steps" "ran ran ran ran"
printf '// another\n// comment\nint main;\n' >"$context/src/main.c"
statuses -o "type=oci,dest=$work/1.tar"
is "only the step that reads it runs" "$steps" "adopted cached cached cached"
has "and says why" "$out" '"name":"src/main.c","aspect":"content"'
statuses -o "type=oci,dest=$work/2.tar"
is "from then on it is known" "$steps" "cached cached cached cached"
is "the same image" "$(oci_config "$work/1.tar" .rootfs)" "$(oci_config "$work/2.tar" .rootfs)"
printf '// another\nint main2;\n' >"$context/src/main.c"
statuses
is "a change that counts" "$steps" "ran ran ran ran"
printf '// yet another\nint main;\n' >"$context/src/main.c"
statuses
is "back to the result before the last" "$steps" "adopted cached cached cached"

say "an ARG that is not used"
context arg <<END
FROM $registry/busybox
ARG A=1
RUN echo constant > /file
RUN cat /file
END
statuses
statuses --build-arg A=2
is "the same file" "$steps" "adopted adopted"
statuses --build-arg A=2
is "kept" "$steps" "cached cached"

say "when it must not"
# must_not WHAT FIRST SECOND: the two commands leave different results, so the next step runs both times.
must_not() {
	context "cut-$RANDOM" <<-END
		FROM $registry/busybox
		RUN mkdir /old && touch -d @5 /old/a /old/b && ln /old/a /old/c
		RUN --mount=type=bind,source=cmd,target=/cmd sh /cmd
		RUN ls -laR /old > /seen
	END
	printf '%s\n' "$2" >"$context/cmd"
	statuses
	printf '%s\n' "$3" >"$context/cmd"
	statuses
	is "$1" "$steps" "cached ran ran"
}
must_not "content" "echo 1 > /f" "echo 2 > /f"
must_not "mode" "echo 1 > /f" "echo 1 > /f; chmod 600 /f"
must_not "group of a directory" "mkdir /d" "mkdir /d; chgrp 1 /d"
must_not "owner" "echo > /f; chown 1 /f" "echo > /f; chown 2 /f"
must_not "link target" "ln -s a /l" "ln -s b /l"
must_not "deleted" "true" "rm /old/b"
must_not "deleted other" "rm /old/a" "rm /old/c"
must_not "hard link or copy" "echo 1 > /f; ln /f /g" "echo 1 > /f; cp /f /g"
must_not "directory replaced" "mkdir -p /old; touch /old/d" "rm -r /old; mkdir /old; touch /old/d"
must_not "a time that is chosen" "touch -d @1000 /f" "touch -d @2000 /f"
must_not "empty directory" "true" "mkdir /empty"
must_not "the bit for set-user-id" "echo 1 > /f; chmod 755 /f" "echo 1 > /f; chmod 4755 /f"
must_not "another type" "echo > /f" "mkdir /f"
must_not "a pipe or a file" "touch /f" "mkfifo /f"
must_not "another name" "echo 1 > /f" "echo 1 > /g"
must_not "other bytes of the same size and time" "echo 12 > /f; touch -d @9 /f" "echo 21 > /f; touch -d @9 /f"
must_not "a deleted name that was made again" "rm /old/b" "rm /old/b; touch -d @6 /old/b"

say "another file system below"
context below <<END
FROM $registry/busybox
COPY f /f
RUN echo same > /g
RUN cat /f > /h
END
echo 1 >"$context/f"
statuses
echo 2 >"$context/f"
statuses -o "type=oci,dest=$work/below.tar"
is "the same difference on something else is something else" "$steps" "ran ran ran"
is "what follows sees the change" "$(oci_file "$work/below.tar" /h)" 2

say "--no-cache takes nothing"
context none <<END
FROM $registry/busybox
RUN echo 1 > /f
RUN cat /f
END
statuses
statuses --no-cache
is "no adoption" "$steps" "ran ran"

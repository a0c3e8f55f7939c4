# users: any single
# cbuild verify: what repeats is told so, what does not is named; the examples repeat.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"

base=$work/base
mkdir "$base"
cp /bin/busybox "$base/busybox"
# verify WANT NAME <<EOF: of what follows a busybox; output in $out
verify() {
	local want=$1
	context "$2"
	printf '%s\n' 'FROM scratch' 'COPY --from=busybox busybox /bin/busybox' 'RUN ["/bin/busybox", "--install", "-s", "/bin"]' >"$work/head"
	cat "$work/head" "$context/Buildfile" >"$context/Dockerfile"
	echo x >"$context/data"
	status "$want" "$CBUILD" verify -q --build-context "busybox=$base" -f "$context/Dockerfile" "$context"
}
nothing_left() { is "nothing is left beside the store" "$(find "$work" -maxdepth 1 -name 'store.verify-*')" ""; }

say "what repeats"
verify 0 repeats <<'END'
WORKDIR /d
COPY data /d/
RUN echo x >f && ln f hard && ln -s f soft && mkdir sub && touch sub/now && mknod pipe p
RUN for i in 3 1 2; do echo $i >$i; done
ARG SOURCE_DATE_EPOCH
RUN echo "$SOURCE_DATE_EPOCH" >/epoch
ENV a=b
END
has "says so" "$out" "the same image twice: sha256:"
nothing_left

say "a date in a file"
verify 1 date <<'END'
RUN echo same >/same
RUN mkdir /stamped && echo built >/stamped/at && date +%s >>/stamped/at
RUN echo after >/after
END
has "step" "$out" "layer 4 of 5 differs: RUN /bin/sh -c mkdir /stamped"
has "file and what" "$out" "/stamped/at: content from byte "
hasnt "later layers repeat" "$out" "later layer"
has "hint" "$out" "SOURCE_DATE_EPOCH"
nothing_left

say "random bytes, in the name and in what is below"
verify 1 random <<'END'
RUN head -c 8 /dev/urandom >/seed
RUN cp /seed /copy
END
has "file" "$out" "/seed: content from byte "
has "what follows from it" "$out" "1 later layer differs, too"
verify 1 name <<'END'
RUN mkdir /tmp && mktemp /tmp/XXXXXX
END
has "one name" "$out" ": only in the first"
has "another name" "$out" ": only in the second"

say "an order"
verify 1 order <<'END'
RUN mkdir /many && cd /many && seq 200 | xargs touch && ls | shuf >/listed
END
has "file" "$out" "/listed: content from byte "

say "times inside of an archive, modes, owners, links"
verify 1 archive <<'END'
RUN echo x >/f && tar cf /f.tar /f
END
has "file" "$out" "/f.tar: content from byte "
verify 1 mode <<'END'
RUN touch /f && chmod 0$(( $(head -c 1 /dev/urandom | od -An -tu1) % 8 ))$(( $(head -c 1 /dev/urandom | od -An -tu1) % 8 ))$(( $(head -c 1 /dev/urandom | od -An -tu1) % 8 )) /f && ln -s $(cat /proc/sys/kernel/random/uuid) /link
END
has "link" "$out" "/link: link to "
status 0 "$CBUILD" check -f "$context/Dockerfile" --fail-on never "$context"

say "what cannot be verified"
for option in "-o out" "-t name" "--push" "--iidfile id" "--call=check"; do
	# shellcheck disable=SC2086
	status 2 "$CBUILD" verify $option "$context"
	has "$option" "$out" "has no place here"
done
status 2 "$CBUILD" verify -
has "standard input" "$out" "can be read once"
verify 1 failing <<'END'
RUN exit 3
END
has "the build says why" "$out" "exit code: 3"
nothing_left

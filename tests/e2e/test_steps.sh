# users: any single
# A multi-stage build on a pulled base: every kind of step, config and files of the result.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
push_busybox

context steps <<END
ARG TAG=latest
FROM $registry/busybox:\$TAG AS base
ENV GREETING="hello world" EMPTY=
WORKDIR /srv/app
RUN echo "\$GREETING from \$PWD" > said && cat said
RUN ["/bin/sh", "-c", "echo exec-\$0-\$GREETING > exec"]

FROM base AS side
ARG WHO=nobody
RUN echo "who=\$WHO" > /who

FROM base
COPY --from=side /who /who
COPY --chmod=640 tree/ /tree/
COPY one two* /many/
COPY <<-text /here
	line \$GREETING
	text
RUN rm /srv/app/said && mkdir /new && ln -s target /new/link
USER user
EXPOSE 80 53/udp
VOLUME /data
LABEL a=1 b="two words"
STOPSIGNAL SIGINT
HEALTHCHECK --interval=30s CMD true
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["cat /who"]
END
mkdir -p "$context/tree/deep" && echo deep >"$context/tree/deep/file" && echo 1 >"$context/one" && echo 2 >"$context/two2"

say "build"
cb build --build-arg WHO=me -o "type=oci,dest=$work/out.tar" "$context"
has "output of RUN is shown" "$out" "hello world from /srv/app"
is "ARG reached RUN" "$(oci_file "$work/out.tar" /who)" who=me
is "heredoc" "$(oci_file "$work/out.tar" /here)" "line hello world"
is "exec form" "$(oci_file "$work/out.tar" /srv/app/exec)" "exec-/bin/sh-hello world"
list=$(oci_list "$work/out.tar")
has "chmod of COPY" "$list" "f 0o640 0:0 5 tree/deep/file"
has "glob" "$list" "many/two2"
has "symlink of RUN" "$list" "new/link -> target"
hasnt "deletion" "$list" "srv/app/said"
hasnt "resolv.conf stays out" "$list" "etc/resolv.conf"
hasnt "hosts stays out" "$list" "etc/hosts"
is "User" "$(oci_config "$work/out.tar" .config.User)" user
is "Cmd" "$(oci_config "$work/out.tar" .config.Cmd)" '["cat /who"]'
is "Entrypoint" "$(oci_config "$work/out.tar" .config.Entrypoint)" '["/bin/sh","-c"]'
is "ports" "$(oci_config "$work/out.tar" '.config.ExposedPorts|keys')" '["53/udp","80/tcp"]'
is "labels" "$(oci_config "$work/out.tar" .config.Labels)" '{"a":"1","b":"two words"}'
is "working directory" "$(oci_config "$work/out.tar" .config.WorkingDir)" /srv/app
is "environment" "$(oci_config "$work/out.tar" '.config.Env[1:]')" '["GREETING=hello world","EMPTY="]'
is "history without layers" "$(oci_config "$work/out.tar" '[.history[]|select(.empty_layer!=true)]|length')" \
	"$(oci_config "$work/out.tar" '.rootfs.diff_ids|length')"

say "the same again runs nothing"
cb build --build-arg WHO=me -o "type=oci,dest=$work/again.tar" "$context"
hasnt "no step ran" "$out" "hello world from /srv/app"
has "hits are shown" "$out" CACHED
cmp "$work/out.tar" "$work/again.tar" || fail "the second image differs"

say "another argument runs only what depends on it"
cb build --build-arg WHO=you -o "type=oci,dest=$work/you.tar" "$context"
hasnt "base step is cached" "$out" "hello world from /srv/app"
is "new argument" "$(oci_file "$work/you.tar" /who)" who=you

say "a target"
cb build --target side -o "type=oci,dest=$work/side.tar" "$context"
is "default of ARG" "$(oci_file "$work/side.tar" /who)" who=nobody

say "a failing step"
context failing <<END
FROM $registry/busybox
RUN echo before
RUN echo last words && exit 7
END
status 1 "$CBUILD" build "$context"
has "last lines" "$out" "last words"
has "exit code" "$out" "exit code: 7"
has "place" "$out" "Buildfile:3"
has "excerpt" "$out" ">>> RUN echo last words"

say "a store below the context is no part of it"
context nested <<END
FROM $registry/busybox
COPY . /all
END
echo 1 >"$context/kept"
cb build --root "$context/deep/store" -o "type=oci,dest=$work/nested.tar" "$context"
list=$(oci_list "$work/nested.tar")
has "the rest is" "$list" all/kept
has "the directory above it is" "$list" all/deep
hasnt "the store is not" "$list" all/deep/store

say "ADD takes archives and files in the order they are written"
context order <<END
FROM scratch
ADD f a.tar g /archive-last/
ADD a.tar f /file-last/
END
echo plain >"$context/f" && echo g >"$context/g"
mkdir "$context/in" && echo archived >"$context/in/f" && tar -C "$context/in" -cf "$context/a.tar" f
cb build -o "type=oci,dest=$work/order.tar" "$context"
is "archive last" "$(oci_file "$work/order.tar" /archive-last/f)" archived
is "file last" "$(oci_file "$work/order.tar" /file-last/f)" plain
is "file after the archive" "$(oci_file "$work/order.tar" /archive-last/g)" g

say "configuration of an image for windows"
context windows <<'END'
# escape=`
FROM scratch
ENV HERE="C:\Program Files\x"
CMD dir C:\
END
cb build --platform windows/amd64 -o "type=oci,dest=$work/windows.tar" "$context"
is "its shell, paths and environment" "$(oci_config "$work/windows.tar" '[.os, .config.Cmd, .config.WorkingDir, .config.Env]')" \
	'["windows",["cmd","/S","/C","dir C:\\"],"\\",["HERE=C:\\Program Files\\x"]]'

say "numbers of stages, and a context in the place of a stage"
context numbers <<'END'
FROM scratch AS first
COPY f /stage
FROM scratch
COPY --from=+0 / /by-number/
COPY --from=first / /by-name/
END
echo f >"$context/f"
mkdir "$context/other" && echo other >"$context/other/context"
cb build -o "type=oci,dest=$work/numbers.tar" "$context"
has "a number with a sign" "$(oci_list "$work/numbers.tar")" by-number/stage
cb build --build-context "first=$context/other" -o "type=oci,dest=$work/numbers.tar" "$context"
list=$(oci_list "$work/numbers.tar")
has "the context by its name" "$list" by-name/context
has "the context by the number of the stage" "$list" by-number/context
hasnt "nothing of the stage" "$list" stage

say "COPY --link knows nothing of what is below, unless it has --chmod"
context link <<END
FROM $registry/busybox AS base
RUN mkdir -m 700 /real && ln -s real /link && mkdir -m 711 /other && ln -s other /way
FROM base
COPY --link f /link/
COPY --link --chmod=640 f /way/
END
echo f >"$context/f"
cb build -o "type=oci,dest=$work/link.tar" "$context"
list=$(oci_list "$work/link.tar")
has "a link is replaced" "$list" "d 0o755 0:0 - link"
has "with --chmod it is followed" "$list" "f 0o640 0:0 2 other/f"
has "and the folder below keeps its mode" "$list" "d 0o711 0:0 - other"

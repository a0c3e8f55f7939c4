# users: any single
# INCLUDE, FROM --reset, flatten and fmt on real builds.
. "${CBUILD_SOURCE:?}/tests/e2e/lib.sh"

context fragments <<'END'
INCLUDE parts/args
FROM scratch AS base
INCLUDE parts/config
COPY --chmod=644 one /one

FROM --reset=cmd,entrypoint,user,workdir,healthcheck base AS some
ARG LEFT=nothing
LABEL left=$A

FROM --reset base
LABEL left=${A:-nothing}
END
mkdir "$context/parts"
echo 'ARG FILE=two' >"$context/parts/args"
cat >"$context/parts/config" <<'END'
ENV A=b
VOLUME /v
EXPOSE 80
LABEL l=m
USER 7
WORKDIR /w
HEALTHCHECK CMD x
ENTRYPOINT ["e"]
CMD ["c"]
ONBUILD LABEL triggered=yes
INCLUDE files
END
printf 'ARG FILE\nCOPY <<X /here\nfrom a file\nX' >"$context/parts/files"
echo 1 >"$context/one"
printf '*\n!one\n' >"$context/.dockerignore"

config() { # TARGET: its configuration, sorted
	cb build -q --target "$1" -o "type=oci,dest=$work/$1.tar" "$context" >/dev/null
	oci_config "$work/$1.tar" ".config|del(.ArgsEscaped)"
}
say "INCLUDE"
is "what files bring" "$(config base)" \
	'{"User":"7","ExposedPorts":{"80/tcp":{}},"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","A=b"],"Entrypoint":["e"],"Cmd":["c"],"Volumes":{"/v":{}},"WorkingDir":"/w","Labels":{"l":"m"},"Healthcheck":{"Test":["CMD-SHELL","x"]},"OnBuild":["LABEL triggered=yes"]}'
is "here-document" "$(oci_file "$work/base.tar" /here)" "from a file"

say "FROM --reset"
is "some parts" "$(config some)" \
	'{"ExposedPorts":{"80/tcp":{}},"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","A=b"],"Volumes":{"/v":{}},"WorkingDir":"/","Labels":{"l":"m","left":"b","triggered":"yes"}}'
cb build -q -o "type=oci,dest=$work/all.tar" "$context"
is "all parts" "$(oci_config "$work/all.tar" .config)" \
	'{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"WorkingDir":"/","Labels":{"left":"nothing"}}'
is "files stay" "$(oci_file "$work/all.tar" /one)" 1

say "flatten"
sed -i '/^FROM --reset base/,$d' "$context/Buildfile"
"$CBUILD" flatten "$context" >"$work/flat" || fail "flatten"
hasnt "no INCLUDE" "$(cat "$work/flat")" INCLUDE
cb build -q -f "$work/flat" -o "type=oci,dest=$work/flat.tar" "$context"
is "same files" "$(oci_list "$work/flat.tar")" "$(oci_list "$work/some.tar")"
is "same labels" "$(oci_config "$work/flat.tar" .config.Labels)" "$(oci_config "$work/some.tar" .config.Labels)"
is "no entry point" "$(oci_config "$work/flat.tar" .config.Entrypoint)" null
echo "FROM --reset=label scratch" >"$work/typo"
status 1 "$CBUILD" build -f "$work/typo" "$context"
has "unknown part" "$out" 'did you mean "labels"?'

say "errors name the included file"
printf 'USER x\nRUN --bad y\n' >"$context/parts/files"
status 1 "$CBUILD" build "$context"
has "place" "$out" "/parts/files:2:5: error: unknown flag: --bad"
has "excerpt" "$out" "2 | RUN --bad y"
printf 'USER x\n\nCOPY gone /\n' >"$context/parts/files"
status 1 "$CBUILD" build "$context"
has "place of a step" "$out" "/parts/files:3"
has "excerpt of a step" "$out" "COPY gone /"
ln -s /etc/passwd "$context/parts/out"
echo 'INCLUDE out' >"$context/parts/files"
status 1 "$CBUILD" build "$context"
has "a link does not lead out of the context" "$out" "/parts/out: No such file"

say "fmt"
printf 'from scratch\ncopy one \\\n\t/\n' >"$work/f1"
printf 'FROM scratch\nCOPY one \\\n    /\n' >"$work/f2"
is "standard input" "$("$CBUILD" fmt - <"$work/f1")" "$(cat "$work/f2")"
chmod 640 "$work/f1"
ln -s f1 "$work/link"
is "--check names files" "$("$CBUILD" fmt --check "$work/link" "$work/f2")" "$work/link"
"$CBUILD" fmt --check "$work/f2" || fail "--check of a formatted file"
"$CBUILD" fmt -w "$work/link" "$work/f2" || fail "fmt -w"
is "-w writes" "$(cat "$work/f1")" "$(cat "$work/f2")"
is "mode stays" "$(stat -c %a "$work/f1")" 640
is "link stays" "$(readlink "$work/link")" f1
! "$CBUILD" fmt --check "$work/f1" "$work/gone" 2>/dev/null || fail "a missing file"
printf 'run <<X\n' >"$work/f3"
! "$CBUILD" fmt -w "$work/f3" 2>/dev/null || fail "what does not parse"
is "a broken file stays" "$(cat "$work/f3")" 'run <<X'

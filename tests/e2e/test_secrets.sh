# users: any single
# Secrets: right in their step, nowhere else; hidden in every look of the progress; a leak fails the build before any output.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need python3 jq base64
value='s3cr3t/+Value&with=everything' # characters that URLs and base64 treat on their own
second=quiet-env-value-4712
printf %s "$value" >"$work/secret"

mkdir "$work/context"
cp /bin/busybox "$work/context"
prelude='FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]'
# buildfile NAME <<: a Buildfile that begins with the prelude
buildfile() { { printf '%s\n' "$prelude"; cat; } >"$work/context/$1"; }
build() { quiet=$second "$CBUILD" build -f "$work/context/$1" --secret "id=s1,src=$work/secret" --secret id=quiet "${@:2}" "$work/context"; }
# What is looked for: the values, their base64 at three offsets, their URL form.
forms=("$value" "$second" "$(printf %s "$value" | base64 -w0 | cut -c1-36)" "$(printf '%s' "x$value" | base64 -w0 | cut -c3-36)"
	"$(printf '%s' "xy$value" | base64 -w0 | cut -c4-36)" "s3cr3t%2F%2BValue%26with%3Deverything")
shows_nothing() {
	local form
	for form in "${forms[@]}"; do hasnt "$1" "$2" "$form"; done
}

say "inside: owner, mode, memory only, of this step only"
buildfile inside <<'END'
RUN --mount=type=secret,id=s1 stat -c '%u:%g %a' /run/secrets/s1 >/stat && grep ' /run/secrets/s1 ' /proc/self/mountinfo | sed 's/.* - \([a-z]*\) .*/\1/' >/type
RUN --mount=type=secret,id=s1,target=/x/y,mode=0444 sh -c 'wc -c </x/y' >/size
RUN --mount=type=secret,id=quiet,env=TOKEN test -n "$TOKEN" && ! test -e /run/secrets/quiet
FROM base AS watcher
RUN --mount=type=cache,id=meet,target=/m for i in $(seq 100); do test -e /m/there && break; sleep 0.1; done; test -e /m/there; \
	cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\0' '\n' >/seen; cat /proc/*/mountinfo >>/seen; ls /proc | grep -c '^[0-9]*$' >/processes; touch /m/done
FROM base AS holder
RUN --mount=type=cache,id=meet,target=/m --mount=type=secret,id=s1 --mount=type=secret,id=quiet,env=TOKEN \
	touch /m/there; for i in $(seq 100); do test -e /m/done && break; sleep 0.1; done; rm -f /m/there /m/done; touch /held
FROM base
RUN --mount=type=secret,id=s1 stat -c '%u:%g %a' /run/secrets/s1 >/stat && grep ' /run/secrets/s1 ' /proc/self/mountinfo | sed 's/.* - \([a-z]*\) .*/\1/' >/type
RUN --mount=type=secret,id=s1,target=/x/y wc -c </x/y >/size
COPY --from=watcher /seen /processes /
COPY --from=holder /held /
END
status 0 build inside -t inside:1 -o "type=oci,dest=$work/out.tar" --progress=plain
is "owner and mode" "$(oci_file "$work/out.tar" /stat)" "0:0 400"
is "a file system in memory" "$(oci_file "$work/out.tar" /type)" tmpfs
is "all of it" "$(oci_file "$work/out.tar" /size)" "${#value}"
seen=$(oci_file "$work/out.tar" /seen)
shows_nothing "the other step's /proc" "$seen"
hasnt "the other step's mounts" "$seen" /run/secrets
is "processes that a step sees" "$(($(oci_file "$work/out.tar" /processes) <= 6))" 1

say "shown nowhere"
buildfile shown <<'END'
RUN --mount=type=secret,id=s1 --mount=type=secret,id=quiet,env=TOKEN cat /run/secrets/s1; echo; echo "$TOKEN"; \
	base64 /run/secrets/s1; (printf x; cat /run/secrets/s1) | base64; (printf xy; cat /run/secrets/s1) | base64 >&2; \
	echo 's3cr3t%2F%2BV''alue%26with%3Deverything s3cr3t%2f%2bV''alue%26with%3deverything'; \
	sed 's/./&\n/g' /run/secrets/s1 | while read -r c; do printf %s "$c"; sleep 0.01; done; echo; echo after-all; exit 3
END
for look in plain rawjson tty quiet auto; do
	status 1 build shown --progress=$look --no-cache-filter base
	shows_nothing "--progress=$look" "$out"
	case $look in
	rawjson) logs=$(printf '%s\n' "$out" | grep '^{' | jq -r '.logs[]?.data' | while read -r line; do printf %s "$line" | base64 -d; done) ;;
	*) logs=$out ;;
	esac
	shows_nothing "the logs of --progress=$look" "$logs"
	has "the rest is shown" "$logs" after-all
done
has "the place is marked" "$logs" '***'
status 1 build shown -q -D
shows_nothing "-q -D" "$out"
status 0 "$CBUILD" graph -f "$work/context/shown" "$work/context"
shows_nothing "cbuild graph" "$out"

say "escaped"
printf %s "it's a \"quoted\" <val\\ue> & more" >"$work/quoted"
buildfile escaped <<'END'
RUN --mount=type=secret,id=q s=/run/secrets/q; echo begin; sed 's/[\\"]/\\&/g' $s; sed 's/[\\"]/\\&/g;s/&/\\u0026/;s/</\\u003c/;s/>/\\u003e/' $s; \
	sed 's/&/\&amp;/g;s/</\&lt;/;s/>/\&gt;/;s/"/\&quot;/g' $s; sed "s/'/'\\\\''/g" $s; echo; echo end
END
status 0 "$CBUILD" build --progress plain -f "$work/context/escaped" --secret "id=q,src=$work/quoted" "$work/context"
is "JSON, as Go writes it, XML, a shell's quotes" "$(sed -n 's/^#[0-9]* [0-9.]* //p' <<<"$out" | sed -n '/^begin/,/^end/p' | tr '\n' ' ')" "begin ************ end "

say "kept nowhere"
store=$(find "$CBUILD_ROOT" -type f -exec cat {} + 2>/dev/null | tr -d '\0' | grep -aFc -e "$value" -e "$second" || true)
is "files of the store that hold a value" "$store" 0
is "names that hold a value" "$(find "$CBUILD_ROOT" | grep -Fc "$second" || true)" 0
shows_nothing "configuration and history" "$(oci_config "$work/out.tar" .)"
tar -xOf "$work/out.tar" >"$work/all"
is "in the archive" "$(grep -aFc -e "$value" -e "$second" "$work/all" || true)" 0

say "a value that stands in the Buildfile and in an argument, too"
buildfile literal <<END
ARG TOKEN
RUN --mount=type=secret,id=s1 : "$value" \$TOKEN && touch /literal
END
for look in plain rawjson; do
	status 0 build literal --progress=$look --explain --build-arg "TOKEN=$value" --cache-to "type=local,dest=$work/cache"
	shows_nothing "--progress=$look" "$out"
done
cb explain "$work/context"
shows_nothing "cbuild explain" "$out"
is "files that hold it" "$(grep -rlaF -e "$value" -e 's3cr3t\/+Value&with' "$CBUILD_ROOT" "$work/cache" | wc -l)" 0

say "a pipe gives a value once, and it is there twice"
buildfile twice <<'END'
RUN --mount=type=secret,id=p,required=true grep -q ^once- /run/secrets/p
RUN --mount=type=secret,id=p,required=true grep -q ^once- /run/secrets/p && touch /twice
END
status 0 "$CBUILD" build -f "$work/context/twice" --secret id=p,src=<(echo once-and-only-once) "$work/context"

say "leaks"
# leak NAME WHERE OUTPUT...: the Buildfile on standard input must not get out, for WHERE.
leak() {
	local name=$1 where=$2 kind
	buildfile "$name"
	for kind in "${@:3}"; do
		# shellcheck disable=SC2086
		status 1 build "$name" $kind
		has "$name, $kind: which secret" "$out" "the value of secret s1 is in the image"
		has "$name, $kind: where" "$out" "$where"
		has "$name, $kind: what to do" "$out" "--allow-secret-leak"
		shows_nothing "$name, $kind" "$out"
		is "$name, $kind: nothing is there" "$(test -e "$work/leak" && echo there)" ""
		hasnt "$name, $kind: no name" "$(cat "$CBUILD_ROOT/index.json" 2>/dev/null)" "leak:$name"
	done
}
leak file "/root/.npmrc, of step [base 3/3] RUN" "-t leak:file" "-o type=oci,dest=$work/leak" "-o type=docker,dest=$work/leak" \
	"-o $work/leak" "-o type=tar,dest=$work/leak" "-t leak:file --iidfile $work/leak --metadata-file $work/leak" <<'END'
RUN --mount=type=secret,id=s1 mkdir -p /root && (echo token=; cat /run/secrets/s1; echo) >/root/.npmrc
END
has "the step's place" "$out" "file:4"
leak deleted "/tmp-file, of step" "-t leak:deleted" "-o $work/leak" <<'END'
RUN --mount=type=secret,id=s1 cp /run/secrets/s1 /tmp-file
RUN rm /tmp-file
END
leak encoded "/big, of step" "-t leak:encoded" <<'END'
RUN --mount=type=secret,id=s1 (dd if=/dev/zero bs=1M count=3; base64 /run/secrets/s1 | sed 's/......../&\n/g') >/big 2>/dev/null
END
leak link "the target of /link, of step" "-t leak:link" <<'END'
RUN --mount=type=secret,id=s1 ln -s "$(cat /run/secrets/s1)" /link
END
leak name "the name of /***, of step" "-t leak:name" <<'END'
RUN --mount=type=secret,id=s1 mkdir /s3cr3t && touch "/$(cat /run/secrets/s1)"
END
leak copied "/x, of step [stage-1 1/1] LINK COPY --link" "-t leak:copied" <<END
FROM base
COPY --link <<x /x
$value
x
END
leak label "config.Labels.token" "-t leak:label" <<END
FROM base
LABEL token=$value
END
leak history "history[" "-t leak:history" <<END
FROM base
RUN : "$value"
END

say "allowed"
status 0 build file -t leak:file --allow-secret-leak -o "type=oci,dest=$work/leaked.tar"
has "a warning" "$out" "the value of secret s1 is in the image: /root/.npmrc"
status 1 build file -t leak:file
has "but only that time" "$out" "the value of secret s1 is in the image"

say "what an earlier build leaked"
# again NAME WHAT OPTION...: the layer of the earlier build does not get out.
again() {
	status 1 "$CBUILD" build -f "$work/context/$1" "${@:3}" -t "leak:$1" "$work/context"
	has "$1, $2" "$out" "the value of secret s1 is in the image: /kept, of step"
	has "$1, $2: whose" "$out" "which an earlier build ran; --no-cache or --no-cache-filter runs it again"
}
buildfile first <<'END'
RUN --mount=type=secret,id=s1 cp /run/secrets/s1 /kept || touch /kept
END
status 1 build first -t leak:first
printf changed-meanwhile >"$work/other"
again first "with another value" --secret "id=s1,src=$work/other"
again first "without the secret"
again first "as files" -o "$work/leak"
is "nothing is there" "$(test -e "$work/leak" && echo there)" ""
status 0 "$CBUILD" build -f "$work/context/first" -t leak:first --allow-secret-leak "$work/context"
has "a warning" "$out" "which an earlier build ran"
status 0 "$CBUILD" build -f "$work/context/first" --no-cache -t leak:first "$work/context"
buildfile unused <<'END'
RUN --mount=type=secret,id=s1 cp /run/secrets/s1 /kept && touch /unused
END
status 0 build unused
has "a build without output says so" "$out" "the value of secret s1 is in /kept, of step"
again unused "after a build without output"
buildfile stage <<'END'
FROM base AS inner
RUN --mount=type=secret,id=s1 cp /run/secrets/s1 /kept && touch /stage
FROM base
COPY --from=inner /stage /
END
status 0 build stage -t leak:stage
hasnt "a stage that is not in the image may have it" "$out" "the value of secret"
again stage "that stage" --target inner

say "annotations, cache mounts"
buildfile plain </dev/null
status 1 build plain -o "type=oci,dest=$work/leak" --annotation "token=$value"
has "annotation" "$out" "the value of secret s1 is in the image: token of its annotations"
shows_nothing annotation "$out"
is "nothing is there" "$(test -e "$work/leak" && echo there)" ""
for content in "cp /run/secrets/s1 /c/f" "(head -c 3000000 /dev/zero; cat /run/secrets/s1) >/c/f"; do
	buildfile cache <<END
RUN --mount=type=secret,id=s1 --mount=type=cache,id=keys,target=/c $content
END
	rm -rf "$work/mounts"
	status 0 build cache --no-cache --cache-mount-to "type=local,dest=$work/mounts"
	has "$content" "$out" "cache mount keys is not exported: the value of secret s1 is in f"
	is "$content: not there" "$(find "$work/mounts" -path '*/ac/*' -type f 2>/dev/null | wc -l)" 0
done
status 0 build cache --no-cache --cache-mount-to "type=local,dest=$work/mounts" --allow-secret-leak
[ "$(find "$work/mounts" -path '*/ac/*' -type f | wc -l)" -gt 0 ] || fail "an allowed leak is not exported"

if "$CBUILD" doctor --format json | jq -e '.rungs[] | select(.name == "shared" and .works)' >/dev/null; then
	say "steps that see each other's processes"
	buildfile others <<'END'
FROM base AS holder
RUN --mount=type=cache,id=m,target=/m --mount=type=secret,id=s1 --mount=type=secret,id=quiet,env=TOKEN touch /m/there; sleep 1; rm -f /m/there
FROM base AS watcher
RUN --mount=type=cache,id=m,target=/m for i in $(seq 30); do for p in /proc/[0-9]*; do \
	! tr '\0' '\n' 2>/dev/null <$p/environ | grep -q ^TOKEN=quiet || echo environment >>/seen; ! cat $p/root/run/secrets/s1 >>/seen 2>/dev/null || echo file >>/seen; \
	done; ! test -e /m/there || echo together >>/seen; sleep 0.1; done; touch /seen
FROM base
COPY --from=holder /bin/busybox /x
COPY --from=watcher /seen /
END
	status 0 build others --isolation shared -o "type=oci,dest=$work/others.tar" -j 4
	is "none is seen" "$(oci_file "$work/others.tar" /seen)" ""
fi

say "no leak"
buildfile clean <<'END'
RUN --mount=type=secret,id=s1 cp /run/secrets/s1 /tmp-file && rm /tmp-file
RUN --mount=type=secret,id=s1 sha256sum /run/secrets/s1 >/digest
END
status 0 build clean -t leak:clean
printf short >"$work/short"
buildfile short <<'END'
RUN --mount=type=secret,id=short cp /run/secrets/short /file
END
status 0 "$CBUILD" build -f "$work/context/short" --secret "id=short,src=$work/short" -t short "$work/context"

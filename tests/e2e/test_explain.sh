# users: any
# Why a step ran: each change of one thing is named, and nothing else is. Options that leave the cache aside.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
push_busybox

context explain <<END
ARG BASE=busybox
FROM $registry/\$BASE AS tools
RUN echo tools > /tools

FROM $registry/\$BASE
ARG VERSION=1
ENV LANG=C
WORKDIR /work
COPY --chmod=755 tool /tool
COPY src /src
COPY <<end /text
said
end
USER root
RUN --mount=type=bind,source=bound,target=/bound cat /bound/* && echo "\$VERSION \$LANG" > said
COPY --from=tools /tools /tools
RUN true
END
mkdir -p "$context/src/deep" "$context/bound"
for file in tool src/a.c src/b.c src/deep/c.h bound/x; do echo "$file" >"$context/$file"; done
ln -s a.c "$context/src/link"
chmod 644 "$context"/src/?.c "$context/src/deep/c.h" "$context/bound/x" "$context/tool"
chmod 755 "$context/src" "$context/src/deep" "$context/bound"
cp -R "$context" "$work/pristine"

# explain ARGUMENTS...: builds quietly; what --explain said is in $out, the first step that ran in $first with why.
explain() {
	cb build --progress none --explain "$@" "$context"
	first=$(printf '%s\n' "$out" | awk '/^\[.*: (ran|adopted)/ { if (n++) exit; print } /^    / && n == 1 { print }')
}
# changed WHAT "step" "reason" BUILD-OPTIONS...: exactly that step ran first, for exactly that reason.
changed() {
	local what=$1 step=$2 reason=$3 reasons
	shift 3
	explain "$@"
	has "$what: the first step that ran" "${first%%$'\n'*}" "$step"
	reasons=$(printf '%s\n' "$first" | sed -n 's/^    //p')
	is "$what: why" "$(printf '%s\n' "$reasons" | sed 's/sha256:[0-9a-f]*/sha256:X/g')" "$reason"
	# Back to where it was: everything is there already.
	rm -rf "$context"
	cp -R "$work/pristine" "$context"
	explain
	is "$what: nothing runs without it" "$first" ""
}

explain
has "the first build" "$first" "no earlier run of it is known"
explain
is "again" "$first" ""

echo 2 >"$context/src/a.c"
changed "a file" "COPY src /src" "file src/a.c: content sha256:X -> sha256:X"
chmod 600 "$context/src/b.c"
changed "a mode" "COPY src /src" "file src/b.c: mode 0644 -> 0600"
chmod 700 "$context/src/deep"
changed "a mode of a directory" "COPY src /src" "file src/deep/: mode 0755 -> 0700"
ln -sfn b.c "$context/src/link"
changed "a link" "COPY src /src" "file src/link: target sha256:X -> sha256:X"
rm "$context/src/deep/c.h"
changed "a file removed" "COPY src /src" "file src/deep/c.h: removed"
echo >"$context/src/new"
changed "a file added" "COPY src /src" "file src/new: added"
rm "$context/src/link" && echo >"$context/src/link"
changed "another type" "COPY src /src" "file src/link: type link -> file"
echo 'src/b.c' >"$context/.dockerignore"
changed ".dockerignore" "COPY src /src" "file src/b.c: removed (.dockerignore has changed)"
chmod g+w "$context"/src/?.c "$context/src/deep/c.h"
changed "umask" "COPY src /src" "file modes of 3 files: src/a.c 0644 -> 0664 and so on (made under another umask?)"
echo 2 >"$context/bound/x"
changed "a file that is mounted" "RUN --mount" "file bound/x: content sha256:X -> sha256:X"
changed "an ARG" "RUN --mount" "ARG VERSION: 1 -> 2" --build-arg VERSION=2
sed -i 's/LANG=C/LANG=de/' "$context/Buildfile"
changed "an ENV" "RUN --mount" "ENV LANG: C -> de"
sed -i 's/^USER root/USER user/' "$context/Buildfile"
sed -i 's/> said/> \/tmp\/said/' "$context/Buildfile" "$work/pristine/Buildfile"
cb build --progress none "$work/pristine"
changed "USER" "RUN --mount" "USER: root -> user"
changed "a flag of the command line" "RUN echo tools" "--network: default -> none" --network none
changed "a host" "RUN echo tools" "--add-host: \"\" -> one" --add-host one:127.0.0.1
sed -i 's/--chmod=755/--chmod=700/' "$context/Buildfile"
changed "a flag" "COPY --chmod" "instruction: COPY --chmod=755 tool /tool -> COPY --chmod=700 tool /tool"
sed -i 's/^said$/SAID/' "$context/Buildfile"
changed "a here-document" "COPY <<end" "here-document: sha256:X -> sha256:X"
sed -i 's/^RUN true/RUN :/' "$context/Buildfile"
changed "a command" "RUN :" "instruction: RUN true -> RUN :"
sed -i 's/echo tools/echo other/' "$context/Buildfile"
changed "a stage" "RUN echo other" "instruction: RUN echo tools > /tools -> RUN echo other > /tools"

say "what follows from a change"
echo 3 >"$context/src/a.c"
explain
has "the next step" "$out" "COPY src /src gave another result"

say "a base image that moved"
mkdir -p "$work/busybox-root/extra"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1700000000 -C "$work/busybox-root" -cf "$work/other.tar" .
push_base busybox "$work/other.tar"
explain --pull
has "the first step that ran" "$first" "RUN echo tools"
is "why" "$(sed -n 's/^    //p' <<<"$first" | sed 's/sha256:[0-9a-f]*/sha256:X/g')" "base image $registry/busybox:latest: sha256:X -> sha256:X"

say "after the fact, and for programs"
echo 4 >"$context/src/a.c"
cb build --progress none "$context"
cb explain "$context"
has "explain" "$out" "file src/a.c: content sha256:"
cb explain --format json "$context"
is "explain --format json" "$(jq -r '[.steps[]|select(.why[0].kind=="file")|.why[0].name]|join(" ")' <<<"$out")" src/a.c
echo 5 >"$context/src/a.c"
cb build --progress none --explain=json "$context"
is "--explain=json" "$(jq -r '[.steps[]|select(.why[0].kind=="file")|.why[0].name]|join(" ")' <<<"$out")" src/a.c
status 1 "$CBUILD" explain /nowhere
has "an unknown context" "$out" "was not built with this store"
status 2 "$CBUILD" build --explain=xml "$context"

say "a step that fails is explained, too"
sed -i 's/^RUN true/RUN false/' "$context/Buildfile"
status 1 "$CBUILD" build --progress none --explain "$context"
has "why it ran" "$out" "instruction: RUN true -> RUN false"
cb explain "$context"
has "after the fact" "$out" "RUN false: failed"

say "--no-cache, --no-cache-filter"
context nocache <<END
FROM $registry/busybox AS fetch
RUN cat /proc/sys/kernel/random/uuid > /id
FROM $registry/busybox AS other
RUN cat /proc/sys/kernel/random/uuid > /id
FROM scratch
COPY --from=fetch /id /fetch
COPY --from=other /id /other
END
# ids OPTIONS...: what the two stages made
ids() {
	cb build --progress none -o "$work/ids" "$@" "$context"
	fetch=$(cat "$work/ids/fetch") other=$(cat "$work/ids/other")
}
ids
first_fetch=$fetch first_other=$other
ids
is "cached" "$fetch $other" "$first_fetch $first_other"
ids --no-cache-filter FETCH
hasnt "--no-cache-filter: the stage ran" "$fetch" "$first_fetch"
is "--no-cache-filter: the other did not" "$other" "$first_other"
second_fetch=$fetch
ids
is "the newest result is kept" "$fetch $other" "$second_fetch $first_other"
ids --no-cache
hasnt "--no-cache" "$fetch $other" "$second_fetch"
hasnt "--no-cache: all" "$fetch $other" "$first_other"
ids --no-cache-filter fetch,other
cb build --no-cache-filter ftech --progress plain "$context"
has "a stage that is not there" "$out" 'no stage is called "ftech"'
cb build --no-cache --progress none --explain "$context"
has "--no-cache is the reason" "$out" "no earlier result was to be used"

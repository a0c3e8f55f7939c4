# users: any single
# Device nodes that steps make: the same layers, and the same answers, whether the kernel makes them or cbuild; they never
# open, and where none can be made it is said.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need jq cc
printf 'int main(void) { return 0; }\n' >"$work/static.c"
cc -static -o "$work/static" "$work/static.c" 2>/dev/null || skip "cc cannot make static programs"
cc -static -pthread -O1 -w -o "$work/nodes" "$here/nodes.c"
busybox_tar
export SOURCE_DATE_EPOCH=1700000000
rungs=$("$CBUILD" doctor --format json | jq -r '.rungs[] | select(.works) | .name')

# on RUNG: a build there, in a store of its own; its digest in $digest, its layers in $work/RUNG.tar.
on() {
	CBUILD_ROOT=$work/store.$1 status 0 "$CBUILD" build --isolation "$1" --progress plain "${@:2}" \
		-o "type=oci,dest=$work/$1.tar,rewrite-timestamp=true" "$context"
	digest=$(tar -xOf "$work/$1.tar" index.json | jq -r '.manifests[0].digest')
}

context simple <<'END'
FROM scratch AS base
ADD busybox.tar /
FROM base
RUN mknod /null c 1 3 && mknod -m 640 /sdb1 b 8 17 && chown 3:6 /sdb1 && mkdir -m 2775 /d && chown 1:5 /d && mknod /d/tty c 5 0 && umask 077 && mknod /d/closed c 1 5
RUN [ "$(stat -c %F:%t:%T:%u:%g:%a /null /sdb1 /d/tty /d/closed | tr '\n' ' ')" = "character special file:1:3:0:0:644 block special file:8:11:3:6:640 character special file:5:0:0:5:644 character special file:1:5:0:5:600 " ]
RUN mv /null /moved && ln /moved /again && rm /d/tty
END
cp "$work/busybox.tar" "$context/"
simple=$context want='' made=

say "the same layers on every rung that can make them"
for rung in $rungs; do
	context=$simple
	case $rung in
	root+userns | root | single) ;;
	shared | chroot) is_root || continue ;;
	*) continue ;;
	esac
	on "$rung"
	[ -n "$want" ] || want=$digest
	is "$rung" "$digest" "$want"
	made="$made $rung"
done

if [ -n "$made" ]; then
	say "as they are written:$made"
	rung=${made##* }
	manifest=$(tar -xOf "$work/$rung.tar" "blobs/sha256/${want#sha256:}")
	entries=$(for blob in $(jq -r '.layers[].digest' <<<"$manifest"); do
		tar -xOf "$work/$rung.tar" "blobs/sha256/${blob#sha256:}" | tar -tvzf - --numeric-owner
	done | grep '^[cb]' | awk '{ print $1, $2, $3, $6 }')
	has "character" "$entries" "crw-r--r-- 0/0 1,3 null"
	has "block" "$entries" "brw-r----- 3/6 8,17 sdb1"
	has "group of the directory" "$entries" "crw-r--r-- 0/5 5,0 d/tty"
	has "mode mask" "$entries" "crw------- 0/5 1,5 d/closed"
	has "moved" "$entries" "crw-r--r-- 0/0 1,3 again"
fi

say "where none can be made, who fails is told"
context refused <<'END'
FROM scratch
ADD busybox.tar /
RUN mknod /null c 1 3
END
cp "$work/busybox.tar" "$context/"
refused=$context
for rung in $rungs; do
	[ "$rung" = ranges ] || continue
	status 1 "$CBUILD" build --isolation "$rung" --progress plain --root "$work/store.refused" "$context"
	has "the kernel's answer" "$out" "Operation not permitted"
	has "why" "$out" "it wanted to make a device node, which isolation ranges cannot"
	printf 'FROM scratch\nADD busybox.tar /\nRUN ! mknod /null c 1 3\nRUN false\n' >"$refused/Buildfile"
	status 1 "$CBUILD" build --isolation "$rung" --progress plain --root "$work/store.refused" "$refused"
	hasnt "not another step" "$out" "it wanted to make a device node"
	printf 'FROM scratch\nADD busybox.tar /\nRUN mknod /w c 0 0\n' >"$refused/Buildfile"
	status 1 "$CBUILD" build --isolation "$rung" --progress plain --root "$work/store.refused" "$refused"
	hasnt "a whiteout is none" "$out" "it wanted to make a device node"
done

if ! grep -qx root+userns <<<"$rungs" || ! grep -qx root <<<"$rungs"; then
	say "the rest is for real root"
	exit 0
fi

say "every way to ask has the kernel's answer"
context ways <<'END'
FROM scratch AS base
ADD busybox.tar /
COPY nodes /bin/nodes
FROM base AS ways
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/tmpfs --mount=type=bind,from=base,target=/bound ["/bin/nodes"]
END
cp "$work/busybox.tar" "$work/nodes" "$context/"
ways=$context
answers() { sed -nE 's/^#[0-9]+ [0-9.]+ (.*: .*)$/\1/p' <<<"$out" | grep -v '^\[\|^sending'; }
on root
of_kernel=$(answers) want=$digest
has "it ran to its end" "$of_kernel" "bound: EROFS"
is "nothing opens" "$(grep '^open ' <<<"$of_kernel" | sed 's/.*: //' | sort -u)" EACCES
on root+userns
is "the answers" "$(diff <(echo "$of_kernel") <(answers) && echo same)" same
is "the layers" "$digest" "$want"

say "with other filters, and without"
archs='"archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}]'
echo '{"defaultAction":"SCMP_ACT_ALLOW",'"$archs"',"syscalls":[{"names":["sendmsg"],"action":"SCMP_ACT_ERRNO"}]}' >"$work/loose.json"
on root+userns --no-cache --security-opt "seccomp=$work/loose.json"
is "a profile of the user's" "$digest" "$want"
on root+userns --no-cache --security-opt seccomp=unconfined --allow security.insecure
is "none" "$digest" "$want"
on root+userns --no-cache --security-opt no-new-privileges
is "no new privileges" "$digest" "$want"
echo '{"defaultAction":"SCMP_ACT_ALLOW",'"$archs"',"syscalls":[{"names":["mknod","mknodat"],"action":"SCMP_ACT_ERRNO","errnoRet":95}]}' >"$work/strict.json"
context strict <<'END'
FROM scratch
ADD busybox.tar /
RUN mknod /null c 1 3
END
cp "$work/busybox.tar" "$context/"
status 1 "$CBUILD" build --isolation root+userns --progress plain --security-opt "seccomp=$work/strict.json" "$context"
has "a profile that refuses is obeyed" "$out" "not supported"

say "a namespace below the step's gains nothing"
context nested <<'END'
FROM scratch
ADD busybox.tar /
RUN mknod -m 666 /null c 1 3; unshare -U -r -m sh -c 'mknod /below c 1 3 && echo MADE; mount -t tmpfs none /tmp && mknod /tmp/null c 1 3 && echo MADE; mount -o remount,bind,dev / && echo REMOUNTED; echo x >/null && echo OPENED; mount --bind / /root && echo x >/root/null && echo OPENED; echo tried'
RUN [ -c /null ] && [ ! -e /below ]
END
cp "$work/busybox.tar" "$context/"
cb --isolation root+userns --progress plain --security-opt seccomp=unconfined --allow security.insecure "$context"
has "it ran" "$out" tried
hasnt "no node" "$(answers)$out" "MADE"$'\n'
for word in MADE REMOUNTED OPENED; do
	is "$word" "$(grep -c "^#[0-9]* [0-9.]* $word\$" <<<"$out" || true)" 0
done

say "a step that may mount gets none"
context insecure <<'END'
FROM scratch
ADD busybox.tar /
RUN --security=insecure ! mknod /null c 1 3
END
cp "$work/busybox.tar" "$context/"
cb --isolation root+userns --progress plain --allow security.insecure "$context"

say "nobody else on the host gets to them"
mkdir -m 755 "$work/open-store"
context=$ways
cb --isolation root+userns --progress plain --root "$work/open-store" "$context"
for dir in "$work/open-store/cachemounts" "$work/open-store/snapshots"/*; do
	is "$dir" "$(stat -c %a "$dir")" 700
done

say "a layer is complete when its step has ended, also when what asks for nodes has not"
context race <<'END'
FROM scratch AS base
ADD busybox.tar /
FROM base
RUN mkdir /d; (i=0; while :; do mknod /d/$i c 1 3; i=$((i + 1)); done) & (i=0; while :; do mknod /d/x$i b 7 1; i=$((i + 1)); done) & sleep 0.3
RUN find /d | sort >/before
RUN find /d | sort | cmp - /before
END
cp "$work/busybox.tar" "$context/"
for round in 1 2 3; do
	cb --isolation root+userns --progress plain --no-cache "$context"
done
pids=$(pgrep -x cbuild-devices || true)
for pid in $pids; do
	[ "$(readlink "/proc/$pid/exe")" != "$(readlink -f "$CBUILD")" ] || fail "process $pid is left"
done

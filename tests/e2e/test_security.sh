# users: any single
# --security-opt: profiles of system calls in docker's format, none at all, no new privileges; what has no effect is said.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need cc jq
cat >"$work/euid.c" <<'END'
#include <stdio.h>
#include <unistd.h>
int main(void) { return printf("euid %d\n", (int)geteuid()) < 0; }
END
cc -static -o "$work/euid" "$work/euid.c" 2>/dev/null || skip "cc cannot make static programs"
context base <<'END'
FROM scratch
COPY busybox /bin/busybox
COPY --chmod=4755 euid /bin/euid
COPY passwd /etc/passwd
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir /x; echo "mkdir: $?"; linux64 -R true; echo "personality: $?"; grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status
USER user
RUN euid
END
cp /bin/busybox "$work/euid" "$context/"
printf 'root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n' >"$context/passwd"
build() { cb --no-cache --progress plain "$@" "$context"; }

say "as it is without a word"
build
has "a filter" "$out" "Seccomp:	2"
has "which refuses" "$out" "personality: 1"
has "new privileges are possible" "$out" "NoNewPrivs:	0"
has "and set-id programs have them" "$out" "euid 0"

say "a profile"
cat >"$work/nomkdir.json" <<'END'
{
  "defaultAction": "SCMP_ACT_ALLOW",
  "archMap": [ { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": [ "SCMP_ARCH_X86", "SCMP_ARCH_X32" ] } ],
  "syscalls": [
    { "names": [ "mkdir", "mkdirat" ], "action": "SCMP_ACT_ERRNO", "errnoRet": 95,
      "includes": { "minKernel": "4.8" }, "excludes": { "caps": [ "CAP_SYS_ADMIN" ] } },
    { "names": [ "a_call_of_the_future" ], "action": "SCMP_ACT_ERRNO" }
  ]
}
END
build --security-opt "seccomp=$work/nomkdir.json"
has "is what steps get" "$out" "can't create directory '/x': "
has "with its errno" "$out" "not supported"
has "in place of the default" "$out" "Seccomp:	2"
has "what it cannot say is told" "$out" 'libseccomp does not know the system call "a_call_of_the_future"'
sed 's/"SCMP_ACT_ERRNO", "errnoRet": 95/"SCMP_ACT_KILL_PROCESS"/' "$work/nomkdir.json" >"$work/kill.json"
build --security-opt "seccomp:$work/kill.json"
has "a call can end the process" "$out" "mkdir: 159"

say "profiles that are wrong"
sed 's/errnoRet/errnoret/' "$work/nomkdir.json" >"$work/wrong.json"
status 2 "$CBUILD" --security-opt "seccomp=$work/wrong.json" "$context"
has "the place is told" "$out" "wrong.json:5:80: syscalls[0].errnoret: unknown member"
has "and what may be meant" "$out" 'did you mean "errnoRet"?'
echo '{"defaultAction": "SCMP_ACT_ALLOW",' >"$work/broken.json"
status 2 "$CBUILD" --security-opt "seccomp=$work/broken.json" "$context"
has "no JSON" "$out" "broken.json:2:0: "
status 2 "$CBUILD" --security-opt "seccomp=$work/missing.json" "$context"
has "no file" "$out" "missing.json: No such file or directory"
truncate -s 2M "$work/large.json"
status 2 "$CBUILD" --security-opt "seccomp=$work/large.json" "$context"
status 2 "$CBUILD" --security-opt seccomp= "$context"

say "no filter takes an entitlement"
status 2 "$CBUILD" --security-opt seccomp=unconfined "$context"
has "which is named" "$out" "entitlement security.insecure is not allowed"
build --security-opt seccomp=unconfined --allow security.insecure
has "nothing is refused" "$out" "personality: 0"
# With one user id a filter asks the recorder of owners, in a user namespace of real root's one asks about device nodes.
case $("$CBUILD" doctor --format json | jq -r .isolation) in
single | root+userns) ;;
*) has "none is loaded" "$out" "Seccomp:	0" ;;
esac

say "no new privileges"
build --security-opt no-new-privileges
has "the promise is made" "$out" "NoNewPrivs:	1"
has "and kept" "$out" "euid 1000"
build --security-opt no-new-privileges=false
has "it can be taken back" "$out" "NoNewPrivs:	0"

say "what is not done is said"
build --security-opt apparmor=docker-default --security-opt label=type:container_t
has "AppArmor" "$out" "apparmor=docker-default has no effect: cbuild changes no labels of AppArmor"
has "SELinux" "$out" "label=type:container_t has no effect"
build --security-opt apparmor=unconfined --security-opt label=disable
hasnt "asking for nothing is no news" "$out" "has no effect"
status 2 "$CBUILD" --security-opt secomp=x "$context"
has "a typing error" "$out" 'did you mean "seccomp"?'

say "how a step is held is no part of its result"
cb --progress plain "$context"
cb --progress plain --security-opt no-new-privileges "$context"
has "so it is found again" "$out" "CACHED"
hasnt "and nothing runs" "$out" "NoNewPrivs:	"

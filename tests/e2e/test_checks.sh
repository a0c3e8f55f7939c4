# users: any
# Checks: exit statuses, formats, warnings in builds, --fix.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need jq

context checks <<'END'
FROM scratch AS Base
ENV greeting hello world
COPY file /
END
echo secret >"$context/file"
echo file >"$context/.dockerignore"

say "check"
out=$("$CBUILD" check "$context" 2>&1) && fail "findings must fail"
has "stage name" "$out" "StageNameCasing"
has "legacy pair" "$out" "LegacyKeyValueFormat"
has "ignored file" "$out" 'Attempting to Copy file "file" that is excluded by .dockerignore'
has "count" "$out" "Check complete, 3 warnings have been found!"
is "one operand may be the file" "$("$CBUILD" check --format github "$context/Buildfile" | wc -l)" 3
is "standard input" "$(printf 'FROM scratch\nMAINTAINER x\n' | "$CBUILD" check --format json - | jq -r '.warnings[].ruleName')" MaintainerDeprecated
status 0 "$CBUILD" check --fail-on never "$context"
status 0 "$CBUILD" check --fail-on error "$context"
status 1 "$CBUILD" build --check "$context"
status 0 "$CBUILD" build --call=check,ignorestatus "$context"
status 2 "$CBUILD" build --call=nonsense "$context"
for format in json sarif gitlab; do
	"$CBUILD" check --fail-on never --format $format "$context" | jq empty || fail "$format is no JSON"
done
is "targets" "$("$CBUILD" build --call=targets,format=json "$context" | jq -r '.targets[0].name')" base

say "builds warn, and fail with error=true"
echo >"$context/.dockerignore"
cb build --progress plain --metadata-file "$work/meta.json" -o type=oci,dest="$work/a.tar" "$context"
has "warning" "$out" "WARNING: LegacyKeyValueFormat"
is "metadata" "$(jq -r '."buildx.build.warnings"[0].short | @base64d' "$work/meta.json")" \
	"StageNameCasing: Stage name 'Base' should be lowercase (line 1)"
status 1 "$CBUILD" build --build-arg BUILDKIT_DOCKERFILE_CHECK=error=true -q "$context"
status 0 "$CBUILD" build --build-arg "BUILDKIT_DOCKERFILE_CHECK=skip=all;error=true" -q "$context"

say "fix"
chmod 640 "$context/Buildfile"
status 0 "$CBUILD" check --fix "$context"
is "mended" "$(cat "$context/Buildfile")" 'FROM scratch AS base
ENV greeting="hello world"
COPY file /'
is "mode kept" "$(stat -c %a "$context/Buildfile")" 640

say "base images"
busybox_tar
push_base known "$work/busybox.tar" '{"Env":["GOPATH=/go"]}'

python3 - "$work/busybox.tar" "$work/foreign.tar" <<'END'
import hashlib, io, json, sys, tarfile
layer = open(sys.argv[1], "rb").read()
config = json.dumps({"architecture": "arm64", "os": "linux", "config": {},
                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
with tarfile.open(sys.argv[2], "w") as out:
    manifest = json.dumps([{"Config": "config.json", "RepoTags": None, "Layers": ["layer.tar"]}]).encode()
    for name, data in (("config.json", config), ("layer.tar", layer), ("manifest.json", manifest)):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        out.addfile(info, io.BytesIO(data))
END
skopeo_ copy -q --dest-tls-verify=false "docker-archive:$work/foreign.tar" "docker://$registry/foreign:1"
context base <<END
FROM $registry/known:latest
ENV x=\$GOPATH
LABEL y=\$GOPAHT
END
rules() { "$CBUILD" check --standard --fail-on never --format json "$@" "$context" | jq -r '[.warnings[]|.ruleName + " " + .detail]|join("; ")'; }
has "not asked for: not known" "$(rules)" "\$GOPATH"
is "the environment of the base" "$(rules --pull)" "UndefinedVar Usage of undefined variable '\$GOPAHT' (did you mean \$GOPATH?)"
status 1 "$CBUILD" build --check "$context"
has "build --check asks the registry" "$out" "did you mean \$GOPATH?"
hasnt "only what is undefined" "$out" "variable '\$GOPATH'"
cb build --progress plain "$context"
has "a build knows it" "$out" "WARNING: UndefinedVar: Usage of undefined variable '\$GOPAHT' (did you mean \$GOPATH?) (line 3)"
printf 'FROM localhost:1/none:1\nLABEL a=%s\n' "\$GOPATH" >"$context/Buildfile"
status 1 "$CBUILD" build --check "$context"
has "an image that cannot be had" "$out" "warning: the base image is not known"
has "the rest is checked" "$out" "UndefinedVar"
printf 'FROM --platform=%s scratch AS a\nFROM scratch\nCOPY --from=a . /\n' "\$BUILDPLATFORM" >"$context/Buildfile"
cb build --check "$context"
hasnt "scratch is no image" "$out" "not known"
# shellcheck disable=SC2016
printf '# escape=`\nFROM a:1\nWORKDIR C:\\app\nWORKDIR b\nFROM a:1\nWORKDIR \\app\n' >"$context/Buildfile"
is "drive letters" "$(rules --platform windows/amd64)" ""
has "they are nothing elsewhere" "$(rules)" "WorkdirRelativePath"
printf 'FROM %s/foreign:1\nLABEL a=b\n' "$registry" >"$context/Buildfile"
want="Base image $registry/foreign:1 was pulled with platform \"linux/arm64\", expected \"linux/$(uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')\" for current build"
if [ "$(uname -m)" != aarch64 ]; then
	is "InvalidBaseImagePlatform" "$(rules --pull)" "InvalidBaseImagePlatform $want"
	cb build --progress plain "$context"
	has "in a build" "$out" "WARNING: InvalidBaseImagePlatform: $want (line 1)"
	printf 'FROM --platform=linux/arm64 %s/foreign:1 AS arm64\nLABEL a=b\n' "$registry" >"$context/Buildfile"
	is "silent where it is asked for" "$(rules --pull)" ""
fi

say "--portable"
printf 'FROM --reset=env scratch\nINCLUDE more\nRUN --device=a/b=c true\n' >"$context/Buildfile"
: >"$context/more"
hasnt "only when asked for" "$("$CBUILD" check --fail-on never "$context")" NotPortable
is "what is not portable" "$("$CBUILD" check --portable --standard --fail-on never --format json "$context" | jq -c '[.warnings[]|select(.ruleName=="NotPortable").location.ranges[0].start.line]')" "[1,2,3]"
status 1 "$CBUILD" check --portable --standard "$context"
"$CBUILD" flatten "$context" | grep -v device >"$context/Plain"
status 0 "$CBUILD" check --portable --standard -f "$context/Plain" "$context"

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

# users: any single
# A layer that comes again: above another base, twice in one image, in the base; steps whose times are given.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
push_busybox

diff_ids() { oci_config "$1" '.rootfs.diff_ids'; }

say "COPY --link makes the same layer on whatever it lies"
context link <<END
FROM $registry/busybox AS base
COPY f g /
FROM base AS above
COPY --link f /f
FROM scratch AS alone
COPY --link f /f
END
echo 1 >"$context/f" && echo 2 >"$context/g"
touch -d @1000000 "$context/f"
cb build --target above -o "type=oci,dest=$work/above.tar" "$context"
cb build --target alone -o "type=oci,dest=$work/alone.tar" "$context"
is "content" "$(oci_file "$work/alone.tar" /f)" 1
is "diff ID" "$(oci_config "$work/above.tar" '.rootfs.diff_ids[-1]')" "$(oci_config "$work/alone.tar" '.rootfs.diff_ids[-1]')"

say "a layer twice in a chain"
context twice <<END
FROM $registry/busybox
COPY --link f /d/f
RUN rm -rf /d && mkdir /d && touch /d/kept
COPY --link f /d/f
RUN ls /d > /seen
END
echo 1 >"$context/f"
cb build -o "type=oci,dest=$work/twice.tar" "$context"
is "both files" "$(oci_file "$work/twice.tar" /seen)" "$(printf 'f\nkept')"
is "layers" "$(oci_config "$work/twice.tar" '.rootfs.diff_ids|length')" \
	"$(oci_config "$work/twice.tar" '[.history[]|select(.empty_layer!=true)]|length')"

say "a base with equal layers"
context equal <<END
FROM $registry/busybox
RUN true
RUN touch /between
RUN true
END
cb build -o "type=oci,dest=$work/equal.tar" "$context"
is "equal diff IDs" "$(oci_config "$work/equal.tar" '.rootfs.diff_ids[1] == .rootfs.diff_ids[3]')" true
skopeo_ copy -q --dest-tls-verify=false "oci-archive:$work/equal.tar" "docker://$registry/equal:1"
context onequal <<END
FROM $registry/equal:1
RUN ls /between > /seen
END
cb build -t onequal -o "type=oci,dest=$work/onequal.tar" "$context"
is "the base is whole" "$(oci_file "$work/onequal.tar" /seen)" /between
is "layers of the result" "$(oci_config "$work/onequal.tar" '.rootfs.diff_ids|length')" 5
status 0 "$CBUILD" run "$registry/equal:1" ls /between
is "it runs" "$out" /between

say "SOURCE_DATE_EPOCH is the time of the directories of WORKDIR"
context epoch <<END
FROM scratch
WORKDIR /made
END
for epoch in 1000 2000 1000; do
	cb build --build-arg SOURCE_DATE_EPOCH=$epoch -o "type=tar,dest=$work/epoch.tar" "$context"
	is "time" "$(tar tvf "$work/epoch.tar" --utc --full-time | grep -o '00:[0-9:]* made/')" "$(date -u -d "@$epoch" +%T) made/"
done

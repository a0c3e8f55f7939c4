# users: any single
# A store where overlay cannot be used (it is on an overlay itself): layers are copied for each step, and come out the same.
. "$CBUILD_SOURCE/tests/e2e/lib.sh"
need unshare
unshare -Urm true 2>/dev/null || skip "no user namespaces with mounts here"
push_busybox

context copies <<END
FROM $registry/busybox AS base
RUN mkdir -p /d/e /gone && echo a >/d/a && echo b >/d/e/b && ln /d/a /d/hard && echo x >/gone/x && chown 3:4 /d/e && echo r >/replaced && echo t >/touched
FROM base
COPY f /f
RUN rm -rf /gone && rm /d/a && echo c >>/d/e/b && mkdir /gone && echo new >/gone/y && mkdir -p /n/e/w && echo >/n/e/w/f && chmod 700 /d && rm /replaced && mkdir /replaced && touch /replaced/in && ln -sf /bin /f && mkfifo /p && chown 7:8 /p
RUN touch -r /d/e/b /ref && printf T >/touched && touch -r /ref /touched && printf U >/touched && touch -r /ref /touched && rm /ref
RUN --mount=from=base,target=/m,rw [ -f /m/d/a ] && rm /m/d/a && echo hi >/m/hi
RUN --mount=type=tmpfs,target=/tmp/t --mount=type=cache,target=/c --mount=type=secret,id=s,env=S grep -q " /tmp/t " /proc/mounts
USER user
RUN id -u >/tmp/id && ! rm /etc/passwd 2>/dev/null || id -u
END
touch "$context/f"
chmod 644 "$context/f"
export SOURCE_DATE_EPOCH=1700000000

# The same file system in a namespace of its own: an overlay on a directory of ours.
mkdir "$work"/{lower,upper,work,merged}
on_overlay() {
	# shellcheck disable=SC2016 # for the shell inside
	unshare -Urm sh -ec 'mount -t overlay store -o "lowerdir=$0/lower,upperdir=$0/upper,workdir=$0/work,userxattr" "$0/merged"
		CBUILD_ROOT=$0/merged/store exec "$@"' "$work" "$@"
}

cb build --isolation single -o "type=oci,dest=$work/overlay.tar,rewrite-timestamp=true" "$context"
status 0 on_overlay "$CBUILD" build --progress plain -o "type=oci,dest=$work/copy.tar,rewrite-timestamp=true" "$context"
has "told once" "$out" "overlay cannot be used here"
# Of a kernel that does not know the newest way to mount one, its refusal of that way would be no reason.
hasnt "with the reason of this host" "$out" "add layer to overlay"
is "the same image" "$(tar -xOf "$work/copy.tar" index.json | jq -r '.manifests[0].digest')" \
	"$(tar -xOf "$work/overlay.tar" index.json | jq -r '.manifests[0].digest')"
has "the file whose time was set back" "$(oci_file "$work/copy.tar" touched)" U

say "what was copied is gone"
# shellcheck disable=SC2016
status 0 on_overlay sh -c 'ls "$CBUILD_ROOT/tmp"'
is "nothing is left" "$out" ""
cb doctor --format json
status 0 on_overlay "$CBUILD" doctor
has "the doctor knows" "$out" "copies of all layers"

say "a store on a file system without attributes is refused before anything runs"
# shellcheck disable=SC2016
status 125 unshare -Urm sh -ec 'mount -t ramfs none "$0" && exec "$@"' "$work/merged" env CBUILD_ROOT="$work/merged/store" "$CBUILD" build -q "$context"
has "says what" "$out" "keeps no attributes user.*"
has "and what to do" "$out" "put it on ext4"

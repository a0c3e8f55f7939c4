FROM a
COPY --from=b --chown=c --chmod=d --link --parents --exclude=e --exclude=f g h
ADD --chown=c --chmod=d --link=false --checksum=e --keep-git-dir=true --unpack --exclude=f g h

FROM a
COPY \
  --from=b \
  # why
  --chown=1:1 \
  c \
  d

FROM a
ONBUILD RUN a  b
ONBUILD   copy --from=b c d
ONBUILD ENV A=b C=d
ONBUILD ONBUILD RUN x
ONBUILD FROM y
ONBUILD FOO
onbuild user a \
  # gone
  b

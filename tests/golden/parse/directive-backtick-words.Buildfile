# escape=`
FROM a
ENV A=`"x B="y`"z" C=`$d
COPY a` b /c
RUN dir C:\ && echo `
  done
CMD ["a`b", "c"]

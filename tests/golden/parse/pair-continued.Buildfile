FROM a
ENV A=b \
    C="d \
      e" \
    # F=g
    H=i
LABEL a=b \
  c=d

FROM a
ENV A=b=c=d
LABEL "a=b"=c
ENV A==
LABEL a.b-c/d=e

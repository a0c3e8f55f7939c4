FROM a
COPY a b c /d/
COPY "a b" c
COPY a\ b c
COPY *.txt [ab]? /x
COPY $A ${B}/c /d

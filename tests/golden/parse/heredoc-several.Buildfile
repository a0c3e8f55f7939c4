FROM a
RUN cat <<A - <<B >c
in a
A
in b
B
COPY <<A <<B /d/
a
A
b
B

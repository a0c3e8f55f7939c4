FROM a
RUN <<EOF sh -eux >out | tee log
echo x
EOF
RUN (cat <<A ; cat <<B ) > x
1
A
2
B

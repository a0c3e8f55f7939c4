FROM a
RUN <<"EOF"
$a
EOF
RUN <<'E F'
$b
E F
RUN <<E"O"F
$c
EOF
RUN <<E\OF
$d
EOF

FROM a
RUNN b
INCLUDE_ x
/bin/sh
"FROM" a
COPYa b
foo:bar

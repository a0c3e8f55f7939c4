INCLUDE args.inc
FROM a
include  dir/b c.inc 
INCLUDE
INCLUDE --x y
INCLUDE \
  z

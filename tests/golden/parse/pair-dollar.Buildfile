FROM a
ENV A=$$B C=$ D=${E} F="$G" H='$I'
LABEL $k=$v

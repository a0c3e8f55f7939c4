FROM a
ENV A=\"b\" C=\$d E=f\\g H="i\"j" K='l\m'
ENV N=o\

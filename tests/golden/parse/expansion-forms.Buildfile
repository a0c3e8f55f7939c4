FROM a
ENV A=${B:-c} D=${E-f} G=${H:+i} J=${K+l} M="${N:?o p}" Q=${R?}
ENV S=${T#u*} V=${W##x} Y=${Z%a} B=${C%%d} E=${F/g/h} I=${J//k/l}
WORKDIR ${A:-${B:-/c}}
COPY ${A}/${B} $C/

ARG A
ARG B=c D E="f g"
FROM a
ARG A=
ARG A='b c' D=$E
ARG "X Y"=z

FROM a
ONBUILD RUN <<E
echo 1
E
ONBUILD COPY <<"F" <<-G /d/
$x
F
	y
	G

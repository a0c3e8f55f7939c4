FROM a
COPY	--from=b		a	c

FROM a
RUN 3<<X cat <&3
body
X
RUN 0<<A 12<<-B c
1
A
	2
	B

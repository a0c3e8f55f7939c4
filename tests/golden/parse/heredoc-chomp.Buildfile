FROM a
RUN <<-EOF
	a
		b
  c
	 EOF
	EOF
RUN <<-EOF
EOF

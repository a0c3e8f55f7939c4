FROM a
RUN <<EOF
#!/usr/bin/env python3
print("x")
EOF
RUN <<-"PY" python3
	print("y")
	PY

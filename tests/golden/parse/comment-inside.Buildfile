FROM a
RUN a \
# one
  # two \
	#three
  b

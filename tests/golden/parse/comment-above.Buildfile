# one
# two
FROM a
# three

# four
RUN b
#
# five
#six
RUN c

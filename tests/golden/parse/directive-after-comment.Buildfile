# a comment
# escape=`
FROM a
RUN b `
RUN c \
 d

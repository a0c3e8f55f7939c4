#syntax=docker/dockerfile:1.7-labs with words
# Check = skip=all;error=true
#ESCAPE= `
FROM a
RUN b `
 c\
RUN d

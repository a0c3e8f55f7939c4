# key=value
# escape=`
FROM a
RUN b \
 c

# lost
#
# kept
FROM a
# lost
  #  
#kept too
RUN b

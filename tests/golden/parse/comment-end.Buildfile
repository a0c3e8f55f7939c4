FROM a
# nothing follows
#

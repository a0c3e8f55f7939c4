FROM a
# check=skip=JSONArgsRecommended
CMD x

FROM a
ENV A=b
ENV A=b C=d
ENV A="b c" D='e f' G=h\ i
ENV A= B=""
ENV A=$B C=${D:-e}

FROM a
ENV A=b"c d"'e f'g H=i
ENV A="b'c" D='e"f'

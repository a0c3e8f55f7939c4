(arg "A")
(arg "B=c")

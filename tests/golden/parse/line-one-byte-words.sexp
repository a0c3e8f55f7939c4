(from "a")
(x)
(y)

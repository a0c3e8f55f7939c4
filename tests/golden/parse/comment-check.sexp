(from "a")
(cmd "x")

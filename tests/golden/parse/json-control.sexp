(from "a")
(cmd "[\"a\tb\"]")
(cmd "[\"a\u0001b\"]")

(from "a")
(cmd "[\"a\"] b")
(run "[\"a\"]# x")
(copy "[\"a\",\"b\"]" "c")

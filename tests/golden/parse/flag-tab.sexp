(from "a")
(copy ("--from=b") "a" "c")

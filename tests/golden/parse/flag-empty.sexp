(from "a")
(copy ("--from=") "a" "b")
(copy ("--link=") "a" "b")
(run ("--mount=") "x")

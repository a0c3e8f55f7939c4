(from "a")
(copy "-a" "b" "c")
(run "- x")
(run "-x --mount=y")

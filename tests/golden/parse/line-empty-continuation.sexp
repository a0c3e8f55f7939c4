(from "a")
(run "a &&   b   c")

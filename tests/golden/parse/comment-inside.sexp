(from "a")
(run "a   b")

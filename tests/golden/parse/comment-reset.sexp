(from "a")
(run "b")

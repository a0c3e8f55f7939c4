(from "a")
(run "b")
(run "c")

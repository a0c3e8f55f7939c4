(from "a")
(run "b")
(run "c")
(run "d")

(from "a")
(run "a    b")
(run "c")

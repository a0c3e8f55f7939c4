(from "a")
(run "b  c")

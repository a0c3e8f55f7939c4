(from "a")
(run "a")

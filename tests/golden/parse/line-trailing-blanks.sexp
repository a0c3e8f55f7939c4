(from "a")
(run "a   b")
(run "cd")
(run "e")

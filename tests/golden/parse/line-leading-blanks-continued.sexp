(from "a")
(run "a      b \tc")

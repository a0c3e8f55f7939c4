(from "a")
(run "b  c\\")
(run "d")

(run "a")
(copy "b" "c")

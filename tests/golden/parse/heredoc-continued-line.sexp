(from "a")
(run "<<A   cat   <<B" (heredoc "A" "a\n") (heredoc "B" "b\n"))
(run "c")

(from "a")
(run "<<EOF" (heredoc "EOF" "# in the body\n  # too\n\n"))
(run "c")

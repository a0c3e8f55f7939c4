(from "a")
(run "<<EOF" (heredoc "EOF" "a\n"))

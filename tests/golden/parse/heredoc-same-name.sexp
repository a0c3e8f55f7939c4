(from "a")
(run "<<E <<E" (heredoc "E" "a\n") (heredoc "E" "b\n"))
(run "<<E" (heredoc "E" ""))
(run "<<E" (heredoc "E" ""))

(from "a")
(run "<<EOF" (heredoc "EOF" "a `\nb \\\n"))
(run "<<E`OF" (heredoc "E`OF" "x\n"))

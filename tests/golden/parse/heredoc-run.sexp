(from "a")
(run "<<EOF" (heredoc "EOF" "echo a\n  echo b\n\n"))
(run "<<EOF" (heredoc "EOF" ""))

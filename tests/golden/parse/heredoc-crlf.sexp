(from "a")
(run "<<EOF" (heredoc "EOF" "a\r\n\r\n"))
(run "b")

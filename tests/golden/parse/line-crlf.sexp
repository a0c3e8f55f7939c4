(from "a")
(run "a   b")
(copy "<<E" "/x" (heredoc "E" "body\r\n"))
(cmd :json "x")

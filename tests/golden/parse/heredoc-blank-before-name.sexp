(from "a")
(run "<< EOF" (heredoc "EOF" "a\n"))
(run "cat <<  EOF >b" (heredoc "EOF" "a\n"))

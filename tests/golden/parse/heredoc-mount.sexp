(from "a")
(run ("--mount=type=cache,target=/c") "<<EOF" (heredoc "EOF" "ls /c\n"))

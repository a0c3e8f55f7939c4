(from "a")
(run "<<EOF" (heredoc "EOF" " EOF\nEOF \nEOFX\n"))
(run "b")

(from "a")
(copy "<<a" "/b" (heredoc "a" "x\n"))
(add "<<EOF" "/c" (heredoc "EOF" "$x \\$y\n"))
(copy ("--chmod=755") "<<\"run.sh\"" "d" "e/" (heredoc :raw "run.sh" "#!/bin/sh\n"))

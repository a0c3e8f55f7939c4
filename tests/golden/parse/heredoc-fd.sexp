(from "a")
(run "3<<X cat <&3" (heredoc :fd 3 "X" "body\n"))
(run "0<<A 12<<-B c" (heredoc "A" "1\n") (heredoc :chomp :fd 12 "B" "\t2\n"))

(from "a")
(onbuild (run "<<E") (heredoc "E" "echo 1\n"))
(onbuild (copy "<<\"F\"" "<<-G" "/d/") (heredoc :raw "F" "$x\n") (heredoc :chomp "G" "\ty\n"))

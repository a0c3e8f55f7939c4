(from "a")
(run "<<-EOF" (heredoc :chomp "EOF" "\ta\n\t\tb\n  c\n\t EOF\n"))
(run "<<-EOF" (heredoc :chomp "EOF" ""))

(from "a")
(run "<<EOF" (heredoc "EOF" "#!/usr/bin/env python3\nprint(\"x\")\n"))
(run "<<-\"PY\" python3" (heredoc :raw :chomp "PY" "\tprint(\"y\")\n"))

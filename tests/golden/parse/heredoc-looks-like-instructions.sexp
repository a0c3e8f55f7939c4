(from "a")
(run "<<EOF" (heredoc "EOF" "FROM b\n# comment\nRUN \\\nCMD [\n"))
(run "c")

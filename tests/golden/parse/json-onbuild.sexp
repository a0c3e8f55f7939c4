(from "a")
(onbuild (cmd :json "a" "b"))
(onbuild (copy :json "c d" "e"))
(onbuild (run "[x"))

(from "a")
(copy ("--from=b" "--chown=1:1") "c" "d")

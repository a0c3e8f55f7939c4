(from "a")
(copy ("--from=b") "a" "c")
(copy ("--chown=a b") "c" "d")
(copy ("--chown=a'b") "c" "d")

(from ("--reset") "a")
(from ("--reset=cmd,env" "--platform=b") "c" "AS" "d")

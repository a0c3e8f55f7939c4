(from "a")
(cmd :json "a" "b")
(cmd[)
(cmd :json "a" "b")

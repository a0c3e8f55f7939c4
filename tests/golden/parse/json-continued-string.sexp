(from "a")
(cmd :json "a   b")
(cmd :json "cd")

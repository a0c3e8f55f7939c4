(from "a")
(cmd :json "a�b")
(run "�( x")
(env "A" "���" "=")

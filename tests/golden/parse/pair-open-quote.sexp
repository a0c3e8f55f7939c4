(from "a")
(env "A" "\"b c" "=")
(env "D" "'e" "=")

(from "a")
(env "A" "b" "=" "C" "\"d       e\"" "=" "H" "i" "=")
(label "a" "b" "=" "c" "d" "=")

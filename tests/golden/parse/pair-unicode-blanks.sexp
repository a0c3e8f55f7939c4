(from "a")
(env "A" "b" "=" "C" "d" "=" "E" "f" "=")

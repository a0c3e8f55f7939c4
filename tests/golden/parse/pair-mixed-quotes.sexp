(from "a")
(env "A" "b\"c d\"'e f'g" "=" "H" "i" "=")
(env "A" "\"b'c\"" "=" "D" "'e\"f'" "=")

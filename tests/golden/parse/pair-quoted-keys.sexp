(from "a")
(label "\"a b\"" "\"c d\"" "=" "'e f'" "g" "=")
(env "\"A\"" "b" "=")

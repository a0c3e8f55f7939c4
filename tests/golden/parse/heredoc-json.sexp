(from "a")
(run :json "cat" "<<EOF")
(copy :json "<<EOF" "/x")

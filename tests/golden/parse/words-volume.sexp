(from "a")
(volume "/a")
(volume "/a" "/b" "\"/c" "d\"")
(volume "$X/data")

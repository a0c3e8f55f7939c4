(from "a")
(expose "80")
(expose "80/tcp" "53/udp" "1000-1010" "$PORT")
(expose "\"80" "81\"")

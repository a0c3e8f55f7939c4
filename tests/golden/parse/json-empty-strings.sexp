(from "a")
(cmd :json "" " ")
(copy :json "" "")

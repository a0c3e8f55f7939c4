(from "a")
(cmd :json "é\n\t\"\\/" "😀" "�" "\b\f\r")

(from "a")
(run "x=$(cat <<EOF)" (heredoc "EOF)" "body\n"))
(run "echo \"${y:-<<EOF}\"")

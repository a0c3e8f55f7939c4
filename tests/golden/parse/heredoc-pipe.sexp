(from "a")
(run "<<EOF sh -eux >out | tee log" (heredoc "EOF" "echo x\n"))
(run "(cat <<A ; cat <<B ) > x" (heredoc "A" "1\n") (heredoc "B" "2\n"))

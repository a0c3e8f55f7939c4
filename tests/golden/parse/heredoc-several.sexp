(from "a")
(run "cat <<A - <<B >c" (heredoc "A" "in a\n") (heredoc "B" "in b\n"))
(copy "<<A" "<<B" "/d/" (heredoc "A" "a\n") (heredoc "B" "b\n"))

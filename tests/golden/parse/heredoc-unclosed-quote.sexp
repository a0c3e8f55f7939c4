(from "a")
(run "echo '<<EOF")
(run "echo \"x <<EOF")

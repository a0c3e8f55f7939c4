(from "a")
(run "echo \"a  b # kept\"")

(from "a")
(maintainer "maintainer" "A B <a@example.org>" "")
(maintainer "maintainer" "\"x\"" "")

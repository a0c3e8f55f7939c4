(from "a")
(copy ("--chown=1:2" "--chmod=644") "a" "b")
(run "\"--mount=x\" y")
(add ("--checksum=sha256:a b") "c" "d")

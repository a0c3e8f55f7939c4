(from "a")
(add "https://example.org/a.tar.gz" "/b")
(add "git@example.org:a/b.git#c:d" "/e")
(add "https://example.org/a.git?ref=v1" ".")

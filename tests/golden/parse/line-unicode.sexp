(from "ä/ö")
(run "echo \"дом\" 家")
(env "KÄ" "ü" "=" "LABEL" "日本" "=")

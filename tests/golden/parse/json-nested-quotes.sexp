(from "a")
(entrypoint :json "sh" "-c" "echo \"$HOME\" 'x'")

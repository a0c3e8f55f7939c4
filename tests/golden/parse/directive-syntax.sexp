(from "a")

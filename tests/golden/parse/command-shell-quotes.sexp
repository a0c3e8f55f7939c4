(from "a")
(run "echo 'it'\\''s' \"\\\"x\\\"\" `date` $(id -u) ${A:-\"b c\"}")

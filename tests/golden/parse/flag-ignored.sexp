(from "a")
(arg ("--bogus") "X=y")
(stopsignal ("--bogus") "SIGINT")
(healthcheck ("--bogus") "NONE")

(from "a")
(run "b")
(onbuild (run "c"))
(healthcheck "nOnE")

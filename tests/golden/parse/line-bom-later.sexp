(from "a")
(run "﻿b")

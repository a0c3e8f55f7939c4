(from "a")
(run ("--mount=type=cache,target=/a,sharing=locked" "--mount=type=bind,from=b,source=/c,target=/d" "--network=none" "--security=insecure") "make")

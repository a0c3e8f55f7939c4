(from ("--platform=$BUILDPLATFORM") "a" "AS" "b")
(from ("--platform=linux/amd64" "--platform=linux/arm64") "b")

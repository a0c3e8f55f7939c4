(from "a")
(copy ("--from=b" "--chown=c" "--chmod=d" "--link" "--parents" "--exclude=e" "--exclude=f") "g" "h")
(add ("--chown=c" "--chmod=d" "--link=false" "--checksum=e" "--keep-git-dir=true" "--unpack" "--exclude=f") "g" "h")

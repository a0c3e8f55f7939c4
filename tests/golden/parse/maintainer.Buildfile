FROM a
MAINTAINER A B <a@example.org>
MAINTAINER "x"

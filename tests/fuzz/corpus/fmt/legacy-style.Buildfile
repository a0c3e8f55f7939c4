from ubuntu:14.04
maintainer Jane Doe <jane@example.com>
LABEL description  A value with   inner blanks
label vendor=ACME "com.example.a b"='single "quoted"'
env DEBIAN_FRONTEND noninteractive
ENV a=1 b=2\ 3 c="$a" d='$a' e=
RUN ["/bin/bash", "-c", "echo \"hello\""]
RUN [ "$a" = 1 ] || echo no
Run echo one two   three \
    four
ADD http://example.com/a.tar.gz /tmp/
ADD [ "x y", "/z/" ]
VOLUME ["/data", "/with space"]
VOLUME /a /b
USER root:root
CMD []

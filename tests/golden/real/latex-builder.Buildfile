FROM debian:bookworm AS tex
ENV DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
RUN apt-get update -qq \
 && apt-get install -qq -y --no-install-recommends \
        texlive-latex-extra texlive-fonts-recommended \
        latexmk biber python3-pygments \
 && rm -rf /var/lib/apt/lists/* /usr/share/doc/*
WORKDIR /doc
ADD --chown=0:0 fonts.tar.gz /usr/local/share/fonts/
ONBUILD COPY . /doc
ONBUILD RUN <<BUILD
set -e
latexmk -pdf -shell-escape main.tex
cp main.pdf /main.pdf
BUILD

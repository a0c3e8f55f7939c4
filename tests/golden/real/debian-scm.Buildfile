FROM debian:bookworm-curl

RUN apt-get update && apt-get install -y --no-install-recommends \
		git \
		mercurial \
		openssh-client \
		subversion \
		\
# procps is small and nearly everyone misses it
		procps \
	&& rm -rf /var/lib/apt/lists/*

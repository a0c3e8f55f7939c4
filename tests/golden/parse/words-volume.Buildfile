FROM a
VOLUME /a
VOLUME /a /b "/c d"
VOLUME $X/data

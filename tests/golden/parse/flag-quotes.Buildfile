FROM a
COPY --chown="1:2" --chmod='6'44 a b
RUN "--mount=x" y
ADD --checksum=sha256:"a b" c d

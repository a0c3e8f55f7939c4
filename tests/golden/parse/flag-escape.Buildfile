FROM a
COPY --fr\om=b a c
COPY --chown=a\ b c d
COPY --chown='a\'b' c d

FROM a
ADD https://example.org/a.tar.gz /b
ADD git@example.org:a/b.git#c:d /e
ADD https://example.org/a.git?ref=v1 .

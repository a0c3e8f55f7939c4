FROM a
COPY -- --from=b c
RUN -- --mount=x
COPY --link -- --link a b
CMD -- --x

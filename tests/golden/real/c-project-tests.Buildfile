FROM gcc:13 AS build
WORKDIR /src
COPY CMakeLists.txt ./
COPY src/ src/
COPY tests/ tests/
ARG BUILD_TYPE=Release
ARG SANITIZERS
RUN cmake -S . -B build -DCMAKE_BUILD_TYPE="${BUILD_TYPE}" \
      ${SANITIZERS:+-DCMAKE_C_FLAGS="-fsanitize=${SANITIZERS}"} \
 && cmake --build build --parallel

FROM build AS test
RUN ctest --test-dir build --output-on-failure

FROM debian:bookworm-slim
COPY --from=build /src/build/tool /usr/local/bin/tool
LABEL version="1.0" \
      description="A tool \
that does \"things\""
ENTRYPOINT ["tool"]
CMD ["--help"]

FROM --platform=linux/amd64 ubuntu:24.04 AS toolchain-amd64
ARG ARM_GNU=13.3.rel1
ENV DEBIAN_FRONTEND=noninteractive
RUN --mount=type=tmpfs,target=/tmp,size=2g \
    --mount=type=cache,target=/var/cache/apt,id=apt-${ARM_GNU},sharing=private \
    apt-get update \
    && apt-get install -y --no-install-recommends \
         cmake \
         ninja-build  \
         # the serial console
         picocom \
\
         xz-utils \
    && rm -rf /var/lib/apt/lists/*
ADD https://developer.arm.com/-/media/Files/downloads/gnu/${ARM_GNU}/binrel/arm-gnu-toolchain-${ARM_GNU}-x86_64-arm-none-eabi.tar.xz /opt/
ENV PATH="/opt/arm-gnu-toolchain-${ARM_GNU}-x86_64-arm-none-eabi/bin:${PATH}"

FROM toolchain-amd64 AS firmware
WORKDIR /fw
COPY . .
RUN --network=none --security=sandbox cmake -G Ninja -B build -DCMAKE_TOOLCHAIN_FILE=cmake/arm.cmake && cmake --build build

FROM scratch
COPY --from=firmware /fw/build/*.elf /fw/build/*.hex /

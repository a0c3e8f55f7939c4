# syntax=docker/dockerfile:1
ARG CUDA=12.6.3
ARG UBUNTU=24.04
ARG FLAVOR=cudnn-runtime
FROM nvidia/cuda:${CUDA}-${FLAVOR}-ubuntu${UBUNTU} AS runtime
ARG DEBIAN_FRONTEND=noninteractive
RUN rm -f /etc/apt/apt.conf.d/docker-clean; \
    echo 'Binary::apt::APT::Keep-Downloaded-Packages "true";' > /etc/apt/apt.conf.d/keep-cache
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    --mount=type=tmpfs,target=/var/log \
    apt-get update && \
    apt-get install -y --no-install-recommends python3 python3-venv git-lfs
ENV VIRTUAL_ENV=/opt/venv \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    HF_HOME=/models
ENV PATH=$VIRTUAL_ENV/bin:$PATH
COPY requirements*.txt /tmp/req/
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=secret,id=pip_conf,target=/etc/pip.conf,required=false \
    python3 -m venv "$VIRTUAL_ENV" && \
    pip install --extra-index-url "https://download.pytorch.org/whl/cu${CUDA%%.*}" -r /tmp/req/requirements.txt

FROM runtime AS serve
WORKDIR /srv
ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d \
    --chmod=0444 https://mirrors.edge.kernel.org/pub/linux/kernel/Historic/linux-0.01.tar.gz /srv/archive/
COPY --link app/ ./app/
VOLUME ["/models"]
EXPOSE 8000-8002
ENTRYPOINT ["/opt/venv/bin/python", "-m", "app"]

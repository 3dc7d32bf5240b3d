# syntax=docker/dockerfile:1
# Two images of one source: `producer` (submit, status, export, db; no torch) and `worker` (everything a GPU needs).
# The CUDA libraries come with torch's wheels and the driver from the host, so a plain Python image is enough.

FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 PATH=/opt/aftercall/bin:$PATH
RUN useradd --uid 1000 --create-home aftercall

FROM base AS build
WORKDIR /src
RUN python -m venv /opt/aftercall
COPY constraints.txt ./

FROM build AS build-producer
COPY . .
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint constraints.txt .

FROM build AS build-worker
# First and alone, so that a change in our code does not fetch it again.
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint constraints.txt torch
COPY . .
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint constraints.txt '.[worker]'

FROM base AS producer
COPY --from=build-producer /opt/aftercall /opt/aftercall
USER 1000
ENTRYPOINT ["aftercall"]

FROM base AS worker
# Triton compiles a small C launcher for each of its kernels when it first runs it.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build-worker /opt/aftercall /opt/aftercall
# Hugging Face, Triton and CUDA keep what they fetched and compiled under HOME, torch would in /tmp.
ENV HOME=/var/cache/aftercall \
    HF_HOME=/var/cache/aftercall/huggingface \
    TORCHINDUCTOR_CACHE_DIR=/var/cache/aftercall/inductor \
    AFTERCALL_DATA_DIR=/var/lib/aftercall
RUN install --directory --owner aftercall --group aftercall /var/cache/aftercall /var/lib/aftercall
VOLUME ["/var/cache/aftercall", "/var/lib/aftercall"]
USER 1000
ENTRYPOINT ["aftercall"]
CMD ["worker", "--gpus", "all"]

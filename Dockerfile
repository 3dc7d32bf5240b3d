# syntax=docker/dockerfile:1
# Two images of one source: `producer` (submit, status, export, db; no torch) and `worker` (everything a GPU needs).
# The CUDA libraries come with torch's wheels and the driver from the host, so a plain Python image is enough.

FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 PATH=/opt/aftercall/bin:$PATH
RUN useradd --uid 1000 --create-home aftercall

# Only files whose hashes are in a list; torch has none (locked/README.md).
FROM base AS build
WORKDIR /src
COPY locked ./locked
RUN /usr/local/bin/pip install --require-hashes --requirement locked/build.txt \
    && python -m venv /opt/aftercall

# Apart from what needs the libraries, so that a change in our code does not fetch those again.
FROM build AS wheel
COPY . .
RUN /usr/local/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheel .

FROM build AS build-producer
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes --no-deps --requirement locked/producer.txt
COPY --from=wheel /wheel /wheel
RUN pip install --no-deps /wheel/*.whl && pip check

FROM build AS build-worker
COPY constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes --no-deps --requirement locked/worker.txt \
    && pip install --constraint constraints.txt torch
COPY --from=wheel /wheel /wheel
RUN pip install --no-deps /wheel/*.whl && pip check

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

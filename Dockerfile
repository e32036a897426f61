# Two images out of one file:
#
#     docker build --target cpu  -t candelabra:cpu  --build-arg PIP_EXTRA_INDEX_URL=<the PyTorch project's CPU index> .
#     docker build --target cuda -t candelabra:cuda .
#
# The package index's torch for Linux brings CUDA along; without the extra index the image `cpu` works as well, but is
# gigabytes larger. `--build-arg BACKBONE=all-MiniLM-L6-v2` puts a backbone into the image, which then needs no network.

ARG PYTHON=3.12-slim-bookworm

FROM python:${PYTHON} AS build
ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/candelabra
ENV PATH=/opt/candelabra/bin:$PATH
# What changes seldom and is large comes first.
COPY constraints.txt ./
RUN python -m pip install -c constraints.txt setuptools torch
COPY pyproject.toml README.md LICENSE ./
COPY server server
COPY clients/python clients/python
COPY plugins plugins
RUN python -m pip install -c constraints.txt --no-build-isolation \
    ".[postgres,gpu]" ./clients/python \
    ./plugins/candelabra-finance ./plugins/candelabra-legal ./plugins/candelabra-medical
ARG BACKBONE=
RUN mkdir -p /var/cache/candelabra \
 && if [ -n "$BACKBONE" ]; then CANDELABRA_CACHE_DIR=/var/cache/candelabra candelabra backbones pull "$BACKBONE"; fi

FROM python:${PYTHON} AS runtime
RUN useradd --system --uid 10001 --home-dir /var/lib/candelabra --create-home candelabra
COPY --from=build /opt/candelabra /opt/candelabra
COPY --from=build --chown=10001:10001 /var/cache/candelabra /var/cache/candelabra
ENV PATH=/opt/candelabra/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CANDELABRA_HOST=0.0.0.0 \
    CANDELABRA_DATA_DIR=/var/lib/candelabra \
    CANDELABRA_CACHE_DIR=/var/cache/candelabra \
    CANDELABRA_LOG_FORMAT=json
USER 10001
WORKDIR /var/lib/candelabra
VOLUME ["/var/lib/candelabra", "/var/cache/candelabra"]
EXPOSE 8001 8002
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["python", "-c", "import sys; from candelabra_client import Client; sys.exit(Client('127.0.0.1:8001').health(timeout=3).lower() != 'serving')"]
ENTRYPOINT ["candelabra"]
CMD ["serve"]

FROM runtime AS cuda
# Asks NVIDIA's container runtime for the driver; CUDA itself comes with torch.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    CANDELABRA_DEVICE=cuda

FROM runtime AS cpu
ENV CANDELABRA_DEVICE=cpu

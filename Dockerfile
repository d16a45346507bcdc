# Two images of the agent; docs/deploy.md says how to build and run them.
#
#   docker build -t mouthpiece .                                          the pod, by itself
#   docker build --target pipecat-cloud --platform linux/arm64 -t … .     on Pipecat Cloud's base
#
# A tag moves; a digest (python@sha256:…) does not: give one with --build-arg where builds must
# come out the same.
ARG PYTHON_IMAGE=python:3.13-slim-trixie
ARG CLOUD_IMAGE=dailyco/pipecat-base:0.1.31-py3.13


# What both images hold of this repository.
FROM scratch AS agent
COPY bot.py LICENSE ./
COPY avatar avatar
COPY client/dist client/dist
COPY offline offline
COPY services services


# The packages, in a folder that the pod takes as it is; pip stays behind.
FROM ${PYTHON_IMAGE} AS packages
WORKDIR /build
COPY requirements.txt constraints.txt ./
# Installed because others name them, never imported (tests/test_deploy.py): numba and resampy are
# for a resampler that Pipecat no longer uses, the others for FastAPI's command line.
ARG UNUSED="agent-detector detect-installer fastapi-cli fastapi-cloud-cli fastar llvmlite numba \
    resampy rignore sentry-sdk"
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --only-binary=:all: \
        --no-binary=docopt -r requirements.txt -c constraints.txt \
    && pip --python /opt/venv/bin/python uninstall --yes ${UNUSED}


# The same agent under Pipecat Cloud's own server. Our pipecatcloud_system stays out: theirs has
# the two names that bot.py takes from it, and a newer base image may expect more of its own.
FROM ${CLOUD_IMAGE} AS pipecat-cloud
ENV ORT_DISABLE_TELEMETRY=1
COPY requirements.txt constraints.txt ./
RUN pip install --no-cache-dir -r requirements.txt -c constraints.txt
COPY --from=agent / ./
RUN python -m compileall -q avatar offline services bot.py


FROM ${PYTHON_IMAGE} AS pod
# ONNX Runtime's wheels for Linux report to their maker unless they are told not to.
ENV ORT_DISABLE_TELEMETRY=1 \
    PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin pod
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY --from=agent / ./
COPY pipecatcloud_system pipecatcloud_system
RUN python -m compileall -q .
ARG VERSION=unknown
# A container's own loopback is nobody else's: here alone the pod listens on all addresses.
ENV HOST=0.0.0.0 \
    IMAGE_VERSION=${VERSION} \
    PORT=8080
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# A socket and nothing else: what a check imports is taken from the agent's half CPU.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-ISc", "\
import os, socket, sys\n\
pod = socket.create_connection(('127.0.0.1', int(os.environ['PORT'])), 4)\n\
pod.sendall(b'GET /livez HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n')\n\
sys.exit(b' 200 ' not in pod.recv(64))"]
CMD ["python", "-m", "pipecatcloud_system"]

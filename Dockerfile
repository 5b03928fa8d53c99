# The image in which Flyte runs the tasks: docker build --build-arg GIT_COMMIT=$(git rev-parse HEAD) -t loopcast .
ARG PYTHON_TAG=3.11.14-slim-bookworm

FROM docker.io/library/python:${PYTHON_TAG} AS builder
# Where the CPU build of torch comes from; PyPI's own build brings gigabytes of CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /app

# First what changes seldom: the lock as constraints gives the exact versions of what runs, without the extra `dev`.
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY loopcast/__init__.py loopcast/
RUN pip install --extra-index-url "${TORCH_INDEX}" --constraint requirements.lock setuptools . \
    && pip uninstall --yes loopcast \
    && rm -rf build ./*.egg-info

# Then the code, linked and not copied into the environment, so that Flyte's fast registration can lay newer code over it,
# with `--destination-dir .`: its default, /root, belongs to somebody else.
COPY loopcast loopcast
COPY tasks tasks
COPY workflows workflows
COPY launchplans launchplans
COPY configs configs
COPY app app
COPY bento bento
COPY docs/packaging.md docs/
RUN pip install --no-deps --no-build-isolation --editable . \
    && python -m compileall -q loopcast tasks workflows launchplans app bento

FROM docker.io/library/python:${PYTHON_TAG} AS runtime
ARG GIT_COMMIT=unknown
LABEL org.opencontainers.image.title="Loopcast" \
      org.opencontainers.image.description="Forecasting in production, kept true: a closed MLOps loop on Flyte." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GIT_COMMIT}"
RUN groupadd --gid 10001 loopcast \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin loopcast \
    && install --directory --owner=10001 --group=10001 /app /var/lib/loopcast
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder --chown=10001:10001 /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LOOPCAST_HOME=/var/lib/loopcast \
    LOOPCAST_GIT_COMMIT=${GIT_COMMIT} \
    MPLCONFIGDIR=/var/lib/loopcast/matplotlib
WORKDIR /app
USER 10001:10001
# Flyte replaces this by `pyflyte-execute` and its arguments.
CMD ["pyflyte", "--help"]

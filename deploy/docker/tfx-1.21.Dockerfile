# The environment with TFX 1.21, Python 3.13 and Debian 13: what every task of a run calls, as tfx.Dockerfile is for TFX 1.16.
# All tasks of a run take the same image. Build it from the repository's root:
#   docker build -f deploy/docker/tfx-1.21.Dockerfile -t tfx-retail:0.1.0-tfx1.21 .
FROM python:3.13-slim-trixie AS build
# pyfarmhash comes as source.
RUN apt-get update && apt-get install -y --no-install-recommends g++=4:14.2.0-1 && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /opt/tfx-retail
# Packages first: they change seldom, and their layer is 3 GB.
COPY pyproject.toml uv.lock README.md LICENSE ./
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN uv sync --locked --no-dev --extra tfx --no-install-project
COPY setup.py ./
COPY tfx_retail tfx_retail
RUN uv sync --locked --no-dev --extra tfx --no-editable

FROM python:3.13-slim-trixie
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 KERAS_HOME=/tmp/keras HOME=/tmp
# The user of Airflow's own image, so that both may write the same folders.
USER 50000:0
ENTRYPOINT ["tfx-retail"]
CMD ["--help"]

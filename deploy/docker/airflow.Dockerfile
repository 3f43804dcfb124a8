# Airflow with this package, which it needs to read compiled pipelines; no TensorFlow, no TFX. From the repository's root:
#   docker build -f deploy/docker/airflow.Dockerfile -t tfx-retail-airflow:0.1.0 .
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml setup.py README.md LICENSE ./
COPY tfx_retail tfx_retail
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM apache/airflow:3.3.2-python3.12
COPY --from=build /wheels /wheels
# Named with Airflow's version, so that pip cannot change it to suit us.
RUN pip install --no-cache-dir "apache-airflow==${AIRFLOW_VERSION}" /wheels/*.whl
COPY deploy/dags dags/retail_faults.py /opt/airflow/dags/

#!/usr/bin/env bash
# The tests of the Airflow side: tools/test_airflow.sh [--short] [3] [2] [pytest's words].
#
# --short: the files of deploy/, and the DAGs in Airflow's own environments, without a live one. Otherwise a live Airflow of each version
# too, which needs PostgreSQL's server; CI installs it.
cd "$(dirname "$0")/.." || exit 1
live=true versions=()
if [ "${1:-}" = --short ]; then live=false; shift; fi
while [[ ${1:-} == [23] ]]; do versions+=("$1"); shift; done
[ ${#versions[@]} -gt 0 ] || versions=(3 2)
results=.cache/tests
mkdir -p "$results"
failed=()

deploy/check.sh || failed+=("files of deploy/")
for version in "${versions[@]}"; do
  deploy/local.sh install --airflow "$version" || failed+=("environment of Airflow $version")
  AIRFLOW_HOME="$PWD/.cache/airflow-tests/dags-$version" PYTHONPATH=. ".cache/airflow/$version/venv/bin/python" -m pytest -q -p no:cacheprovider \
    --confcutdir=tests/airflow -o addopts= -o filterwarnings= -W ignore tests/airflow/test_dag*.py --junitxml="$results/dags-$version.xml" ||
    failed+=("DAGs of Airflow $version")
  if [ "$live" = true ]; then
    TFX_RETAIL_TEST_AIRFLOW=$version .venv/bin/python -m pytest -q tests/airflow/test_live*.py --durations=5 --junitxml="$results/airflow-$version.xml" "$@" ||
      failed+=("live Airflow $version")
  fi
done
[ ${#failed[@]} -eq 0 ] || { printf 'FAILED: %s\n' "${failed[@]}"; exit 1; }

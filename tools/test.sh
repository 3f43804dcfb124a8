#!/usr/bin/env bash
# Every check and every test, whatever fails before; the last line counts the tests of all runs.
#
# The fast tests have a run of their own, which proves that they load no TensorFlow. Then whole runs go side by side with the
# TensorFlow tests: both wait for imports on one core most of the time.
cd "$(dirname "$0")/.." || exit 1
results=.cache/tests
rm -rf "$results" && mkdir -p "$results"
failed=()
tests() { .venv/bin/python -m pytest -q "tests/$1" --junitxml="$results/$1.xml" "${@:2}"; }

if [ "${CI:-}" = true ]; then tools/test_deps.sh || failed+=("system packages"); fi
trap 'kill $(jobs -p) 2> /dev/null; exit 130' INT TERM
# Airflow's environments are installed and asked for their DAGs beside the rest: the first waits for the package index, the second for imports.
tools/test_airflow.sh --short > "$results/airflow.log" 2>&1 &
airflow=$!
tools/lint.sh || failed+=("lint")
tools/test_fast.sh "$results" || failed+=("fast tests")
tests fast -m long --junitxml="$results/long.xml" || failed+=("longer tests without TensorFlow")
tests browser || failed+=("browser tests")
tests e2e --durations=3 > "$results/e2e.log" 2>&1 &
e2e=$!
tests tf --durations=10 || failed+=("TensorFlow tests")
wait "$e2e" || failed+=("whole runs")
wait "$airflow" || failed+=("Airflow, short")
cat "$results/e2e.log" "$results/airflow.log"

[ ${#failed[@]} -eq 0 ] || printf 'FAILED: %s\n' "${failed[@]}"
.venv/bin/python tools/tally.py "$results" || failed+=("tally")
[ ${#failed[@]} -eq 0 ]

#!/usr/bin/env bash
# Every check and every test, whatever fails before; the last line counts the tests of both runs.
# Two runs, so that the fast tests prove that they load no TensorFlow.
cd "$(dirname "$0")/.." || exit 1
results=.cache/tests
rm -rf "$results" && mkdir -p "$results"
failed=()

tools/lint.sh || failed+=("lint")
.venv/bin/python -m pytest -q tests/fast --junitxml="$results/fast.xml" || failed+=("fast tests")
.venv/bin/python -m pytest -q tests --ignore=tests/fast --junitxml="$results/full.xml" --durations=10 || failed+=("TensorFlow tests")

[ ${#failed[@]} -eq 0 ] || printf 'FAILED: %s\n' "${failed[@]}"
.venv/bin/python tools/tally.py "$results" || failed+=("tally")
[ ${#failed[@]} -eq 0 ]

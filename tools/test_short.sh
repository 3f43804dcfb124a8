#!/usr/bin/env bash
# The short set, which the other platform gets: fast tests, TensorFlow tests and one whole run, killed once on its way; the last line counts.
cd "$(dirname "$0")/.." || exit 1
results=.cache/tests
rm -rf "$results" && mkdir -p "$results"
failed=()
tests() { .venv/bin/python -m pytest -q "tests/$1" --junitxml="$results/$1.xml" "${@:2}"; }

trap 'kill $(jobs -p) 2> /dev/null; exit 130' INT TERM
tools/test_fast.sh "$results" || failed+=("fast tests")
tests fast -m long --junitxml="$results/long.xml" || failed+=("longer tests without TensorFlow")
tests e2e -k "killed_training or path_of_its_page" > "$results/e2e.log" 2>&1 &
tests tf --durations=10 || failed+=("TensorFlow tests")
wait $! || failed+=("whole run")
cat "$results/e2e.log"

[ ${#failed[@]} -eq 0 ] || printf 'FAILED: %s\n' "${failed[@]}"
.venv/bin/python tools/tally.py "$results" || failed+=("tally")
[ ${#failed[@]} -eq 0 ]

#!/usr/bin/env bash
# The tests that load no TensorFlow, without the long ones (make test has those too): a pytest for each core, which takes its share of the files.
#
# Processes that hand out test by test (pytest-xdist) each collect all tests and tell of each three times: 6 s of processor time more.
cd "$(dirname "$0")/.." || exit 1
results=${1:-.cache/tests}
mkdir -p "$results"
rm -f "$results"/fast-*
mapfile -t files < <(ls -S tests/fast/test_*.py) # the largest first, dealt in turn: shares of about one length
count=$(nproc)
shares=()
# Tests write and remove 7,000 files: in memory, where the system has such a place.
scratch=$(mktemp -d -p /dev/shm tfx-retail-XXXXXX 2> /dev/null || mktemp -d -p "$results")
trap 'rm -rf "$scratch"' EXIT
trap 'kill $(jobs -p) 2> /dev/null; exit 130' INT TERM
for ((share = 0; share < count && share < ${#files[@]}; share++)); do
    own=()
    for ((place = share; place < ${#files[@]}; place += 2 * count)); do own+=("${files[place]}"); done
    for ((place = 2 * count - 1 - share; place < ${#files[@]}; place += 2 * count)); do own+=("${files[place]}"); done # there and back: even shares
    .venv/bin/python -m pytest -q -m "not long" "${own[@]}" --basetemp="$scratch/$share" --junitxml="$results/fast-$share.xml" > "$results/fast-$share.log" 2>&1 &
    shares+=($!)
done
failed=0
for share in "${!shares[@]}"; do
    wait "${shares[share]}" || failed=1
    cat "$results/fast-$share.log"
done
exit "$failed"

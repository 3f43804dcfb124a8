#!/usr/bin/env bash
# The suite on both platforms: all of it on this machine's own, then the short set on the other. The last line counts the tests of both.
#
# TFX 1.21 is tried in a Debian 13 tree where this machine's C library is too old for it, TFX 1.16 in a copy with Python 3.10.
# tools/test_platforms.sh --within SECONDS: leaves the other one out, and says so, where it cannot be made here, or the time is too short.
cd "$(dirname "$0")/.." || exit 1
within="" shortest=420   # seconds: an environment and the short set, on two idle cores
if [ "${1:-}" = --within ]; then within=$2; fi
failed=() results=(.cache/tests)

say() { printf 'test-platforms: %s\n' "$*"; }
left() { echo $((within > SECONDS ? within - SECONDS : 1)); }

other_in_tree() { env -u PYTHON tools/debian13.sh timeout --kill-after=20 "$1" make --no-print-directory short; }
other_in_copy() { tools/copy.sh .cache/python3.10 && PYTHON=3.10 timeout --kill-after=20 "$1" make --no-print-directory --directory=.cache/python3.10 short; }

# Runs the other platform's short set. A set that is cut off has told nothing, so it is neither passed nor failed.
other() {
  local limit=3600 status
  if [ -n "$within" ]; then
    if [ "$(left)" -lt "$shortest" ]; then say "the other platform is left out: $(left) s are left, it needs $shortest"; return; fi
    if ! "${possible[@]}" > /dev/null; then say "the other platform is left out: it cannot be made here (the line above says why)"; return; fi
    limit=$(left)
  fi
  say "now the other platform"
  "$run" "$limit"
  status=$?
  if [ -n "$within" ] && [ "$status" -eq 124 ]; then say "the other platform is left out: it did not end within $limit s"; return; fi
  [ "$status" -eq 0 ] || failed+=("the other platform")
  results+=("$home/.cache/tests")
}

if [ "${CI:-}" = true ]; then tools/test_deps.sh --platforms; fi
make --no-print-directory test || failed+=("this machine's own platform")
if .venv/bin/python -c 'import sys; sys.exit(sys.version_info >= (3, 11))'; then
  run=other_in_tree home=.cache/debian13/tree/src possible=(tools/debian13.sh true)
else
  run=other_in_copy home=.cache/python3.10 possible=(tools/copy.sh .cache/python3.10)
fi
other
[ ${#failed[@]} -eq 0 ] || printf 'FAILED: %s\n' "${failed[@]}"
.venv/bin/python tools/tally.py "${results[@]}" || failed+=("tally")
[ ${#failed[@]} -eq 0 ]

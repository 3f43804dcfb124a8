#!/usr/bin/env bash
# The suite on both platforms: all of it on this machine's own, then the short set on the other. The last line counts the tests.
#
# TFX 1.21 is tried in a Debian 13 tree where this machine's C library is too old for it, TFX 1.16 in a copy with Python 3.10.
# tools/test_platforms.sh --within SECONDS, for CI: the other one is told and not judged, since what it stands on comes from a mirror of
# today; it is left out, with the reason, where it cannot be made here or the time is too short.
cd "$(dirname "$0")/.." || exit 1
within="" shortest=420   # seconds: an environment and the short set, on two idle cores
if [ "${1:-}" = --within ]; then within=$2; fi
failed=() results=(.cache/tests)

say() { printf 'test-platforms: %s\n' "$*"; }
left() { echo $((within > SECONDS ? within - SECONDS : 1)); }

make_tree() { env -u PYTHON timeout 900 tools/debian13.sh true; }
test_in_tree() { env -u PYTHON tools/debian13.sh timeout --kill-after=20 "$1" make --no-print-directory short; }
make_copy() { tools/copy.sh .cache/python3.10; }
test_in_copy() { PYTHON=3.10 timeout --kill-after=20 "$1" make --no-print-directory --directory=.cache/python3.10 short; }

other() {
  say "now the other platform"
  if "make_$place" && "test_in_$place" 3600; then :; else failed+=("the other platform"); fi
  results+=("$home/.cache/tests")
}

other_if_it_fits() {
  if [ "$(left)" -lt "$shortest" ]; then say "the other platform is left out: $(left) s are left, it needs $shortest"; return; fi
  if ! "make_$place" > /dev/null; then say "the other platform is left out: it cannot be made here (the line above says why)"; return; fi
  say "now the other platform"
  "test_in_$place" "$(left)"
  case $? in
    0) say "the other platform: all passed" ;;
    124) say "the other platform: did not end in time, so it tells nothing" ;;
    *) say "THE OTHER PLATFORM FAILED: the lines above tell where; it does not decide here, make test-platforms does" ;;
  esac
}

if [ "${CI:-}" = true ]; then tools/test_deps.sh --platforms; fi
make --no-print-directory test || failed+=("this machine's own platform")
[ -x .venv/bin/python ] || { say "nothing was tested: there is no environment (the line above says why)"; exit 1; }
if .venv/bin/python -c 'import sys; sys.exit(sys.version_info >= (3, 11))'; then
  place=tree home=.cache/debian13/tree/src
else
  place=copy home=.cache/python3.10
fi
if [ -n "$within" ]; then other_if_it_fits; else other; fi
[ ${#failed[@]} -eq 0 ] || printf 'FAILED: %s\n' "${failed[@]}"
.venv/bin/python tools/tally.py "${results[@]}" || failed+=("tally")
[ ${#failed[@]} -eq 0 ]

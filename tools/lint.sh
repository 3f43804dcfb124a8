#!/usr/bin/env bash
# Format, lint, types and import contracts; every one runs, so that one call shows all there is to mend.
cd "$(dirname "$0")/.." || exit 1
failed=()
check() {
  local output
  if output=$("${@:2}" 2>&1); then echo "$1: ok"; else echo "$1: FAILED"; echo "$output"; failed+=("$1"); fi
}
check "format" .venv/bin/python -m ruff format --check .
check "lint" .venv/bin/python -m ruff check .
check "types" .venv/bin/python -m mypy
check "import contracts" .venv/bin/lint-imports
[ ${#failed[@]} -eq 0 ]

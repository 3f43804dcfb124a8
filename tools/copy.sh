#!/usr/bin/env bash
# tools/copy.sh FOLDER: makes FOLDER a copy of this checkout, uncommitted work included. What was made there (environment, data, runs) stays.
set -euo pipefail
cd "$(dirname "$0")/.."
kept=(.venv .cache output data .hypothesis .pytest_cache)   # `data`: the sample that was drawn there; tracked files are written over

stop() { echo "copy: $*" >&2; exit 1; }

# Under sudo the checkout is another user's, which git refuses unless told.
tracked() { git -c safe.directory="$PWD" ls-files --cached --others --exclude-standard -z; }

existing() {
  local path
  while IFS= read -r -d '' path; do
    if [ -e "$path" ] || [ -L "$path" ]; then printf '%s\0' "$path"; fi
  done
}

destination=${1:?which folder?}
command -v git > /dev/null || stop "git is missing: it knows which files are the project's"
tracked > /dev/null 2>&1 || stop "$PWD is not a git checkout: get the project by git clone"
mkdir -p "$destination"
keep=()
for name in "${kept[@]}"; do keep+=(! -name "$name"); done
find "$destination" -mindepth 1 -maxdepth 1 "${keep[@]}" -exec rm -rf {} +
tracked | existing | tar --create --null --no-recursion --files-from=- | tar --extract --directory="$destination" --no-same-owner

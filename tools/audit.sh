#!/usr/bin/env bash
# Looks up every locked package of both platforms in PyPI's list of known vulnerabilities (pip-audit). Needs uv, and PyPI itself: a mirror
# that has no such list makes it fail rather than say that nothing is known.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo "$PWD/.cache/uv/bin/uv")   # make setup brings it
mkdir -p .cache
locked=.cache/locked.txt

# What stays, and why: docs/dependencies.md. Where no platform is named, with TFX 1.16 only.
explained=(
  CVE-2026-59890   # setuptools 80, on both: packs source on macOS; ours is there for pkg_resources, which tensorflow_hub imports
  CVE-2026-25087   # pyarrow 18, with TFX 1.21: Arrow files with pre-buffering, which Python cannot switch on; we read none
  CVE-2026-59939   # httplib2 0.22: clients of Google's clouds; nothing here calls it
  CVE-2023-47248   # pyarrow 10: Arrow and Parquet files of strangers; we read none
  CVE-2023-24816   # ipython 7: Windows only
  CVE-2025-4565    # protobuf 3.20: its parser in pure Python, which is not the one in use
  CVE-2026-0994    # protobuf 3.20: deeply nested JSON of strangers; we read what we wrote
  CVE-2024-11407   # grpcio 1.65: servers that send without copying, which is off unless asked for
)

"$uv" export --quiet --locked --extra tfx --no-hashes --no-emit-project --output-file "$locked" > /dev/null
failed=()
for python in 3.10 3.13; do   # pip-audit reads the lines that are for the Python it runs on
  echo "packages for Python $python"
  "$uv" tool run --quiet --python "$python" pip-audit@2.10.1 --strict --no-deps --disable-pip --progress-spinner off --requirement "$locked" \
    "${explained[@]/#/--ignore-vuln=}" || failed+=("Python $python")
done
[ ${#failed[@]} -eq 0 ] || { printf 'FAILED: %s\n' "${failed[@]}"; exit 1; }

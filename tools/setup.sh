#!/usr/bin/env bash
# Makes .venv what uv.lock says. A second call with nothing changed returns at once.
#
# Finds or installs uv, chooses the platform, finds or fetches its Python, installs. Writes inside the project and uv's cache only.
# Two platforms, one lock: TFX 1.21 on Python 3.11 to 3.13 where the C library is new enough, else TFX 1.16 on Python 3.10.
# Variables: PYTHON=3.12 names the platform instead of choosing; what uv and pip themselves read (indexes, certificates) is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."
private="$PWD/.cache"
uv_wanted=0.7.0   # the first that reads this lock's format
glibc_wanted=2.39   # what ml-metadata and tensorflow-data-validation 1.21 are built for: the highest manylinux tag in uv.lock
newer=(3.13 3.12 3.11)   # for TFX 1.21, the best first
unset VIRTUAL_ENV PYTHONHOME PYTHONPATH   # another environment's are not ours
export UV_PROJECT_ENVIRONMENT="$PWD/.venv"

main() {
  local fingerprint
  fingerprint=$(sha256sum uv.lock pyproject.toml tools/setup.sh | sha256sum | cut -c1-16)" $PWD ${PYTHON:-}"
  if [ "$(cat .venv/.made_from 2>/dev/null)" = "$fingerprint" ] && .venv/bin/python -c '' 2>/dev/null; then
    say "$(cat .venv/.chosen)"
    return
  fi
  mkdir -p "$private"
  keep_uv_cache_writable
  find_uv
  choose_platform
  install_packages
  printf '%s' "$chosen" > .venv/.chosen
  printf '%s' "$fingerprint" > .venv/.made_from
}

say() { printf 'setup: %s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

# ---- uv ----

keep_uv_cache_writable() {
  if [ -n "${UV_CACHE_DIR:-}" ] || [ -n "${XDG_CACHE_HOME:-}" ]; then return; fi
  if [ -n "${HOME:-}" ] && mkdir -p "$HOME/.cache/uv" 2>/dev/null && [ -w "$HOME/.cache/uv" ]; then return; fi
  export UV_CACHE_DIR="$private/uv-cache"
  say "no writable HOME: uv keeps its downloads in .cache/uv-cache"
}

find_uv() {
  local candidate
  for candidate in "$(command -v uv || true)" "$private/uv/bin/uv"; do
    if [ -n "$candidate" ] && new_enough "$candidate"; then uv=$candidate; return; fi
  done
  say "installing uv into .cache/uv"
  for candidate in $(pythons); do
    rm -rf "$private/uv"
    if install_uv_with "$candidate" && new_enough "$private/uv/bin/uv"; then uv="$private/uv/bin/uv"; return; fi
  done
  stop "uv could not be installed (.cache/uv.log): install uv, or a python3 with pip or venv (Debian: apt install python3-venv), run make again"
}

new_enough() {
  local found
  found=$("$1" --version 2>/dev/null | cut -d' ' -f2) && [ -n "$found" ] && at_least "$found" "$uv_wanted"
}

at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -1)" = "$2" ]; }

# Whatever Python runs will do: it only carries uv's binary here. pip asks rustc for its version, and rustup's stand-in would write to HOME.
install_uv_with() {
  local -x RUSTUP_HOME="$private/rustup"
  local pip_install=(-m pip install --quiet --no-cache-dir --disable-pip-version-check "uv>=$uv_wanted,<1") home="$private/uv"
  {
    { "$1" -m venv "$home" && "$home/bin/python" "${pip_install[@]}"; } ||
    { rm -rf "$home" && "$1" "${pip_install[@]}" --target "$home"; } ||  # Debian without python3-venv
    { rm -rf "$home" && "$1" -m virtualenv --quiet "$home" && "$home/bin/python" "${pip_install[@]}"; }
  } >> "$private/uv.log" 2>&1
}

pythons() {
  local name path
  for name in python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 python $(pyenv_pythons '3.*'); do
    path=$(command -v "$name" 2>/dev/null) || continue
    if "$path" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then printf '%s\n' "$path"; fi   # pyenv's shims may point nowhere
  done | awk '!seen[$0]++'
}

# ---- platform and Python ----

choose_platform() {
  local glibc obstacle
  glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2 || true)
  obstacle=$(obstacle_to_newer "$glibc")
  case "${PYTHON:-}" in
    3.10 | 3.10.*) use 1.16 "PYTHON=$PYTHON asks for it" "$PYTHON" ;;
    3.11 | 3.11.* | 3.12 | 3.12.* | 3.13 | 3.13.*)
      [ -z "$obstacle" ] || stop "PYTHON=$PYTHON asks for TFX 1.21, but $obstacle; leave PYTHON away for TFX 1.16, or try tools/debian13.sh make test"
      use 1.21 "PYTHON=$PYTHON asks for it" "$PYTHON" ;;
    "")
      if [ -n "$obstacle" ]; then use 1.16 "TFX 1.21 is not for this machine: $obstacle" 3.10
      else use 1.21 "the newest there is, glibc $glibc is new enough" "${newer[@]}"; fi ;;
    *) stop "PYTHON=$PYTHON: TFX 1.16 runs on Python 3.10, TFX 1.21 on 3.11, 3.12 and 3.13; name one of these, or none" ;;
  esac
}

# Nothing, where TFX 1.21 can be installed here.
obstacle_to_newer() {
  if [ -z "$1" ]; then echo "there is no glibc here"
  elif ! at_least "$1" "$glibc_wanted"; then echo "glibc is $1, its packages are built for $glibc_wanted (Debian 13, Ubuntu 24.04)"
  elif [ "$(uname -m)" != x86_64 ]; then echo "its packages are built for x86_64, this is $(uname -m)"; fi
}

# use TFX REASON PYTHON...: the first Python that is here, else the first that uv can fetch.
use() {
  local tfx=$1 reason=$2
  shift 2
  find_python "$@"
  chosen="Python $("$python" -c 'import platform; print(platform.python_version())') with TFX $tfx: $reason"
}

find_python() {
  for version in "$@"; do if find_installed; then return; fi; done
  for version in "$@"; do if fetch; then return; fi; done
  stop "Python $1 is missing and could not be fetched (.cache/uv.log): install it (pyenv install $1, or your system's package), run make again"
}

find_installed() {
  local candidate
  for candidate in "$("$uv" python find --system --no-project --no-python-downloads "$version" 2>/dev/null || true)" $(pyenv_pythons "$version*"); do
    if [ -n "$candidate" ] && works "$candidate"; then python=$candidate; return; fi
  done
  return 1
}

fetch() {
  say "Python $version is not installed: uv fetches it into .cache/python"
  export UV_PYTHON_INSTALL_DIR="$private/python"
  "$uv" python install --no-bin "$version" >> "$private/uv.log" 2>&1 && python=$("$uv" python find --managed-python --no-project "$version") && works "$python"
}

# Complete, of the version, and with the headers that pyfarmhash is compiled against.
works() {
  "$1" -c '
import ctypes, os, sqlite3, ssl, sys, sysconfig
headers = os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1] or not headers)' "$(printf '%s' "$version" | cut -d. -f1,2)" 2>/dev/null
}

# Also those of a pyenv that lies in another user's home: sudo, containers and CI often leave HOME empty.
pyenv_pythons() {
  local root
  {
    printf '%s\n' "${PYENV_ROOT:-}" "${HOME:-}/.pyenv"
    if command -v pyenv > /dev/null; then
      pyenv root 2>/dev/null || true
      dirname "$(dirname "$(readlink -f "$(command -v pyenv)")")"
    fi
  } | awk 'length && !seen[$0]++' | while read -r root; do
    find "$root/versions" -maxdepth 1 -name "$1" 2>/dev/null | sort -rV | sed 's|$|/bin/python3|' || true
  done
}

# ---- packages ----

install_packages() {
  say "$chosen"
  say "installing the locked packages into .venv: up to 1 GB to fetch, 3 GB unpacked"
  # Compiled now, once: where PYTHONDONTWRITEBYTECODE is set or .venv is read-only, every process would parse thousands of files: 20 s more to import TFX.
  if UV_PYTHON="$python" "$uv" sync --locked --extra tfx --compile-bytecode --quiet; then return; fi
  command -v c++ > /dev/null || say "there is no C++ compiler here, and pyfarmhash comes as source (Debian: apt install g++)"
  stop "uv sync failed: the lines above say why"
}

main

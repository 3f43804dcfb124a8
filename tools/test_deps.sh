#!/usr/bin/env bash
# System packages that tests need and make does not bring: Chromium, and a font with Chinese signs for it; PostgreSQL's server, which tests of
# the metadata store start; with --platforms also debootstrap, for the other platform's tree. What is there is left alone.
set -euo pipefail
wanted=()
command -v chromium > /dev/null || command -v chromium-browser > /dev/null || wanted+=(chromium fonts-noto-cjk)
compgen -G "/usr/lib/postgresql/*/bin/initdb" > /dev/null || wanted+=(postgresql)
if [ "${1:-}" = --platforms ] && ! PATH="$PATH:/usr/sbin" command -v debootstrap > /dev/null; then wanted+=(debootstrap); fi
[ ${#wanted[@]} -gt 0 ] || exit 0
if ! command -v apt-get > /dev/null; then echo "test-deps: no apt-get here: install ${wanted[*]} by this system's own means" >&2; exit 1; fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then as_root=sudo; fi
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
$as_root apt-get install -y -qq --no-install-recommends "${wanted[@]}" > /dev/null

#!/usr/bin/env bash
# System packages that tests need and make does not bring: Chromium, and a font with Chinese signs for it. What is there is left alone.
set -euo pipefail
if command -v chromium > /dev/null || command -v chromium-browser > /dev/null; then exit 0; fi
if ! command -v apt-get > /dev/null; then echo "test-deps: no apt-get here: install Chromium by this system's own means" >&2; exit 1; fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then as_root=sudo; fi
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
$as_root apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk > /dev/null

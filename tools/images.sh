#!/usr/bin/env bash
# Builds both images of the tasks without a container engine, and runs the sample in each: tools/images.sh [1.16] [1.21]
#
# buildah reads the Dockerfiles and does each of their steps in a folder. Where the registry of the base images is out of reach, Debian of the
# same name by debootstrap, with that Python, stands in for them; a line says so. Needs root, buildah and debootstrap; 20 GB in .cache/images,
# which `tools/images.sh --remove` removes. With an engine: `docker build`, by the first lines of each Dockerfile.
set -euo pipefail
cd "$(dirname "$0")/.."
here="$PWD/.cache/images"
bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
declare -A files=([1.16]=deploy/docker/tfx.Dockerfile [1.21]=deploy/docker/tfx-1.21.Dockerfile)

main() {
  if [ "${1:-}" = --remove ]; then rm -rf --one-file-system "$here"; return; fi
  local tfx
  [ $# -gt 0 ] || set -- 1.16 1.21
  check_needs
  mkdir -p "$here"
  for tfx in "$@"; do build "$tfx"; try "$tfx"; done
}

say() { printf 'images: %s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

check_needs() {
  local name
  for name in buildah debootstrap unshare; do
    PATH="$PATH:/usr/sbin" command -v "$name" > /dev/null || stop "$name is missing (Debian, Ubuntu: apt install buildah debootstrap)"
  done
  [ "$(id -u)" -eq 0 ] || stop "needs root, to make a system in a folder and enter it: sudo tools/images.sh"
}

# buildah with images and containers in our own folder.
buildah_here() { buildah --root "$here/store" --runroot "$here/run" "$@"; }

build() {
  local file=${files[$1]:-} base
  [ -n "$file" ] || stop "TFX $1: there are images for ${!files[*]}"
  base=$(sed -n 's/^FROM \([^ ]*\).*/\1/p' "$file" | head -1)
  buildah_here inspect --type image "$base" > /dev/null 2>&1 || buildah_here pull --quiet "docker.io/library/$base" > /dev/null 2>&1 || stand_in "$base"
  say "TFX $1: the steps of $file"
  buildah_here build --quiet --pull-never --isolation chroot --layers=false --volume "$bundle:/etc/ssl/certs/ca-certificates.crt:ro" \
    --file "$file" --tag "tfx-retail:$1" . > "$here/build-$1.log" 2>&1 || { tail -n 20 "$here/build-$1.log" >&2; stop "TFX $1: a step failed (.cache/images/build-$1.log)"; }
}

# As the image's own user, with nothing but a folder that it may write: what a scheduler does with it.
try() {
  local container folder="$here/try-$1"
  rm -rf "$folder" && mkdir -p "$folder/configs" && chmod 777 "$folder"
  cp configs/sample.yaml "$folder/configs/"
  container=$(buildah_here from --pull-never "localhost/tfx-retail:$1")
  say "TFX $1: the sample in the image"
  buildah_here run --isolation chroot --user 50000:0 --workingdir /work --volume "$folder:/work" "$container" -- tfx-retail run configs/sample.yaml \
    > "$folder/run.log" 2>&1 || { tail -n 20 "$folder/run.log" >&2; stop "TFX $1: the sample failed (.cache/images/try-$1/run.log)"; }
  grep -m 1 "blessed" "$folder/run.log"
  buildah_here rm "$container" > /dev/null
}

# ---- stand-ins for python:3.10-slim-bookworm and the like ----

stand_in() {
  local base=$1 version debian tree="$here/base" container
  version=${base#python:} version=${version%%-*} debian=${base##*-}
  say "$base is out of reach: Debian $debian by debootstrap stands in for it"
  rm -rf --one-file-system "$tree"
  PATH="$PATH:/usr/sbin" debootstrap --variant=minbase --include="$(packages_of "$version" "$debian")" "$debian" "$tree" \
    ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} > "$here/debootstrap.log" 2>&1 || stop "debootstrap failed: $(tail -n 1 "$here/debootstrap.log")"
  [ -x "$tree/usr/bin/python$version" ] || copy_python "$version" "$tree"
  rm -f "$tree/usr/lib/python$version/EXTERNALLY-MANAGED"
  container=$(buildah_here from scratch)
  buildah_here add --quiet "$container" "$tree" / > /dev/null
  buildah_here config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    --env PIP_CERT=/etc/ssl/certs/ca-certificates.crt --cmd python3 "$container"
  buildah_here commit --quiet --rm "$container" "docker.io/library/$base" > /dev/null
  rm -rf --one-file-system "$tree"
}

# Debian's own Python where it is the one; else the libraries that Python's modules need.
packages_of() {
  if [ "$2" = trixie ] && [ "$1" = 3.13 ]; then echo ca-certificates,python-is-python3,python3-dev,python3-pip,python3-venv
  else echo ca-certificates,libbz2-1.0,libffi8,liblzma5,libncursesw6,libreadline8,libsqlite3-0,libssl3,libuuid1,zlib1g; fi
}

# The Python of .venv, or another of that version on this machine, goes where the real image has it.
copy_python() {
  local python=.venv/bin/python prefix name
  [ "$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null)" = "$1" ] ||
    python=$(uv_here python find --system --no-project --no-python-downloads "$1" 2> /dev/null) || stop "Python $1 is not on this machine, to be put into the stand-in"
  prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
  [ "$prefix" != /usr ] || stop "Python $1 here is the system's: one that stands in a folder of its own is needed (pyenv)"
  for name in bin include lib; do cp -a "$prefix/$name" "$2/usr/local/"; done
  rm -rf "$2/usr/local/lib/python$1/site-packages" && mkdir "$2/usr/local/lib/python$1/site-packages"
  ln -sf "python$1" "$2/usr/local/bin/python"
  chroot "$2" ldconfig
  chroot "$2" "/usr/local/bin/python$1" -m ensurepip > /dev/null 2>&1
  ln -sf pip3 "$2/usr/local/bin/pip"
}

uv_here() { "$(command -v uv || echo "$PWD/.cache/uv/bin/uv")" "$@"; }   # make setup brings it

main "$@"

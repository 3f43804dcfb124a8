#!/usr/bin/env bash
# Runs a command on Debian 13, for machines whose own C library is too old for TFX 1.21: tools/debian13.sh make test
#
# The system is a folder, .cache/debian13/tree: debootstrap makes it once (a minute), the project is copied into it before each command, and
# what commands make there (environment, runs) stays there. HOME and /tmp last as long as the command. Mounts are the command's own, so
# nothing is left behind when it is killed. `tools/debian13.sh --remove` removes it all. Needs root, debootstrap and a Debian mirror.
# Photos that tests look for beside the checkout, in ../shared, are seen there too, to be read only.
# Variables: DEBIAN_MIRROR, if not debootstrap's own; PYTHON, CI, proxies and package indexes go on to the command.
set -euo pipefail
cd "$(dirname "$0")/.."
home="$PWD/.cache/debian13"
tree="$home/tree"
packages=ca-certificates,g++,git,make,procps,python3-dev,python3-venv
servers=(postgresql)   # what tests start themselves

main() {
  if [ "${1:-}" = --remove ]; then remove; return; fi
  [ $# -gt 0 ] || stop "which command? For instance: tools/debian13.sh make test"
  check_needs
  mkdir -p "$home"
  one_at_a_time
  make_tree
  tools/copy.sh "$tree/src"
  trust_what_this_machine_trusts
  enter /src "$@"
}

say() { printf 'debian13: %s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

check_needs() {
  local name
  for name in debootstrap:debootstrap unshare:util-linux setpriv:util-linux chroot:coreutils flock:util-linux; do
    command -v "${name%:*}" > /dev/null || [ -x "/usr/sbin/${name%:*}" ] || stop "${name%:*} is missing (Debian, Ubuntu: apt install ${name#*:})"
  done
  [ "$(id -u)" -eq 0 ] || stop "needs root, to make a system in a folder and enter it: sudo tools/debian13.sh ..."
  unshare --mount true 2> /dev/null || stop "may not mount here (a container without CAP_SYS_ADMIN): call it outside of the container"
}

one_at_a_time() {
  exec 9> "$home/lock"
  flock --nonblock 9 || { say "waits for another command in the tree"; flock 9; }
}

make_tree() {
  [ "$(cat "$home/made_of" 2> /dev/null)" = "$packages ${servers[*]}" ] && return
  remove_tree
  say "making Debian 13 in .cache/debian13/tree"
  PATH="$PATH:/usr/sbin" debootstrap --variant=minbase --include="$packages" trixie "$tree" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} > "$home/debootstrap.log" 2>&1 ||
    stop "debootstrap failed: $(tail -n 1 "$home/debootstrap.log") (.cache/debian13/debootstrap.log)"
  trust_what_this_machine_trusts
  install_servers >> "$home/debootstrap.log" 2>&1 || stop "${servers[*]} could not be installed: .cache/debian13/debootstrap.log"
  printf '%s' "$packages ${servers[*]}" > "$home/made_of"
}

# Not by debootstrap: their packages would start them, on this machine's own ports.
install_servers() {
  mkdir -p "$tree/etc/postgresql-common"
  echo "create_main_cluster = false" > "$tree/etc/postgresql-common/createcluster.conf"
  printf '#!/bin/sh\nexit 101\n' > "$tree/usr/sbin/policy-rc.d"
  chmod +x "$tree/usr/sbin/policy-rc.d"
  enter / DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${servers[@]}"
}

# Certificates and name servers: a company's index is reached from the tree as it is from here.
trust_what_this_machine_trusts() {
  local bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
  if [ -s "$bundle" ]; then cp -L "$bundle" "$tree/etc/ssl/certs/ca-certificates.crt"; fi
  cp -L /etc/resolv.conf /etc/hosts "$tree/etc/"
}

# In a mount namespace and a process namespace of its own: with the command end its mounts and whatever it started, and with this script
# the command. The inner shell stays as the namespace's first process, which signals do not reach, so that Ctrl-C ends the command itself.
#
# enter FOLDER COMMAND...
enter() {
  local passed folder=$1
  shift
  mapfile -t passed < <(passed_on)
  # shellcheck disable=SC2016  # the inner shell is the one to expand these
  setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child bash -euc '
    tree=$1; shift
    mount --types proc proc "$tree/proc"
    mount --rbind /dev "$tree/dev"
    mount --types tmpfs --options mode=1777 tmpfs "$tree/tmp"
    mkdir "$tree/tmp/home"
    if [ -d ../shared ]; then mkdir -p "$tree/shared"; mount --options bind,ro ../shared "$tree/shared"; fi
    chroot "$tree" /usr/bin/env --ignore-environment "$@"
  ' enter "$tree" --chdir="$folder" "${passed[@]}" HOME=/tmp/home LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin UV_CACHE_DIR=/var/cache/uv \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt "$@"
}

passed_on() {
  local name
  for name in CI PYTHON TERM UV_DEFAULT_INDEX UV_INDEX UV_INDEX_URL PIP_INDEX_URL PIP_EXTRA_INDEX_URL {http,https,no,all}_proxy {HTTP,HTTPS,NO,ALL}_PROXY; do
    if [ -n "${!name:-}" ]; then printf '%s=%s\n' "$name" "${!name}"; fi
  done
}

remove() {
  [ -d "$home" ] || { say "there is no tree here"; return; }
  [ "$(id -u)" -eq 0 ] || stop "its files are root's: sudo tools/debian13.sh --remove"
  exec 9> "$home/lock"
  flock --nonblock 9 || stop "a command is running in the tree: end it first"
  rm -rf "$home"
  say "removed"
}

# Mounts of others are not seen from here and not followed: rm cannot leave the tree.
remove_tree() { rm -rf --one-file-system "$tree"; rm -f "$home/made_of"; }

main "$@"

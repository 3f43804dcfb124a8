#!/usr/bin/env bash
# An S3-compatible server on this machine, and its bucket mounted as a folder: to see a pipeline work in a bucket before there is one.
#
#   deploy/storage.sh up                 install what is missing, start the server, make the bucket `retail`
#   deploy/storage.sh mount DIR          mount the bucket at an empty folder, as each machine that takes part would
#   deploy/storage.sh unmount DIR
#   deploy/storage.sh status | down      `down` unmounts what `mount` mounted and ends the server; what is in the bucket stays
#
# All of it lies in .cache/storage, or in $TFX_RETAIL_DEPLOY/storage. It needs a current Go the first time (1.26 was
# used; Debian 12's is too old), s3fs (Debian: apt-get install s3fs) and /dev/fuse. docs/scale.md, Object storage, tells what a bucket can and cannot do.
set -euo pipefail
script=$(realpath -- "${BASH_SOURCE[0]}")
repo=$(dirname "$(dirname "$script")")
for part in say processes; do
  # shellcheck source=/dev/null
  . "$repo/deploy/local/$part.sh"
done
say() { printf 'storage: %s\n' "$*" >&2; }
postgres_state() { echo stopped; }   # processes.sh asks; there is none here

server=github.com/versity/versitygw/cmd/versitygw@v1.8.0   # S3's API over a folder; Apache-2.0
bucket=retail
port=${TFX_RETAIL_S3_PORT:-7070}
here=$(realpath -m -- "${TFX_RETAIL_DEPLOY:-$repo/.cache}/storage")
logs="$here/logs" run="$here/run" mounts="$here/mounts" keys="$here/keys"

main() {
  local command=${1:-help}
  [ $# -eq 0 ] || shift
  case $command in
    up | status | down) [ $# -eq 0 ] || wrong "$command takes nothing more"; "$command" ;;
    mount | unmount) [ $# -eq 1 ] || wrong "$command takes one folder"; "${command}_bucket" "$(realpath -ms -- "$1")" ;;
    *) sed -n '2,11s/^# \{0,1\}//p' "$script"; [ "$command" = help ] || exit 2 ;;
  esac
}

up() {
  mkdir -p "$here/objects/$bucket" "$here/bin" "$logs" "$run"
  need_programs
  [ -x "$here/bin/versitygw" ] || build
  [ -f "$keys" ] || make_keys
  if [ "$(state_of server)" != running ] && listens; then stop "port $port is in use: stop what listens there, or set TFX_RETAIL_S3_PORT"; fi
  local key secret
  IFS=: read -r key secret < "$keys"
  ROOT_ACCESS_KEY=$key ROOT_SECRET_KEY=$secret start server "$here/bin/versitygw" --port "127.0.0.1:$port" posix "$here/objects"
  await
  say "up: http://127.0.0.1:$port, bucket $bucket; keys in $keys; deploy/storage.sh mount DIR"
}

need_programs() {
  local missing=()
  command -v s3fs > /dev/null || missing+=("s3fs (Debian: apt-get install s3fs)")
  [ -e /dev/fuse ] || missing+=("/dev/fuse: this machine, or its container, has no FUSE")
  if [ ! -x "$here/bin/versitygw" ]; then find_go || missing+=("a current Go (1.26 was used), to build the server"); fi
  if [ ${#missing[@]} -gt 0 ]; then printf -v missing '%s; ' "${missing[@]}"; stop "missing: ${missing%; }"; fi
}

find_go() { command -v go > /dev/null || { [ -x /usr/local/go/bin/go ] && PATH="$PATH:/usr/local/go/bin"; }; }

build() {
  say "building the server from the Go module proxy: some minutes"
  GOBIN="$here/bin" go install "$server" > "$logs/build.log" 2>&1 || stop "go install failed: $(tail -1 "$logs/build.log")"
}

make_keys() {   # s3fs reads KEY:SECRET, and refuses a file that others can read
  (umask 077 && printf 'retail:%s\n' "$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n')" > "$keys")
}

# A file is in the bucket when it is closed, and its name and size are looked up anew: what one machine has written the next one sees.
mount_bucket() {
  local folder=$1 options
  [ "$(state_of server)" = running ] || stop "the server does not run: deploy/storage.sh up"
  if is_mounted "$folder"; then say "mounted already: $folder"; return; fi
  mkdir -p "$folder"
  [ -z "$(ls -A "$folder")" ] || stop "$folder is not empty: what is in it would be hidden"
  options="url=http://127.0.0.1:$port,use_path_request_style,passwd_file=$keys,stat_cache_expire=1,retries=1,connect_timeout=5,readwrite_timeout=20"
  s3fs "$bucket" "$folder" -o "$options" || stop "s3fs could not mount $bucket at $folder"
  stays_mounted "$folder" || { fusermount -u "$folder" 2> /dev/null || true; stop "the server refuses: look into the keys ($keys) and $logs/server.log"; }
  echo "$folder" >> "$mounts"
  say "mounted: $folder"
}

unmount_bucket() {
  if is_mounted "$1"; then fusermount -u "$1" || stop "$1 is in use: end what works there"; fi
  if [ -f "$mounts" ]; then sed -i "\|^$1\$|d" "$mounts"; fi
}

status() {
  printf '%-10s %s\n' server "$(state_of server)"
  if [ -f "$mounts" ]; then while read -r folder; do printf '%-10s %s\n' "$(is_mounted "$folder" && echo mounted || echo gone)" "$folder"; done < "$mounts"; fi
  [ "$(state_of server)" = running ] || exit 3
}

down() {
  local folder
  if [ -f "$mounts" ]; then
    while read -r folder; do unmount_bucket "$folder"; done <<< "$(cat "$mounts")"
    rm -f "$mounts"
  fi
  [ -d "$run" ] || { say "nothing to stop: there is no $run"; return; }
  stop_processes
  say "stopped; the objects stay in $here/objects"
}

# ---- helpers ----

is_mounted() { [ -n "$1" ] && grep -qs " $1 fuse.s3fs " /proc/mounts; }

stays_mounted() {   # s3fs goes into the background first, and asks the server then
  for _ in 1 2 3 4; do
    sleep 0.5
    is_mounted "$1" || return 1
  done
  timeout 30 ls "$1" > /dev/null 2>&1
}

listens() { (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; }

await() {
  local waited=0
  until listens; do
    [ "$(state_of server)" = running ] || stop "the server ended: $(tail -1 "$logs/server.log")"
    waited=$((waited + 1))
    [ $waited -lt 120 ] || stop "the server does not listen on port $port after a minute: look into $logs/server.log"
    sleep 0.5
  done
}

main "$@"

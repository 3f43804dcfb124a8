#!/usr/bin/env bash
# Airflow with PostgreSQL on this machine, without Docker: what production has, small enough to look at.
#
#   deploy/local.sh up [--airflow 2|3] [--config FILE] [--port N] [--celery|--no-celery] [--install] [--dags FOLDER]
#   deploy/local.sh install | status | down | env | airflow ARGUMENTS...        (all take --airflow 2|3)
#
# `up` may be called again and again: it does what is missing; `install` only makes Airflow's environment, in .cache/airflow/<2|3>/venv.
# `down` stops what `up` started and keeps the data. All else lies in .cache/airflow/<2|3>/ too, or in $TFX_RETAIL_DEPLOY; to start from
# nothing, call `down` and remove that folder.
# shellcheck disable=SC1090,SC2034,SC2154  # the parts sourced below share these variables
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
unset VIRTUAL_ENV PYTHONHOME   # another environment's are not ours
for part in say places processes postgres environment airflow; do . "$repo/deploy/local/$part.sh"; done

main() {
  local command=${1:-help}
  [ $# -eq 0 ] || shift
  case $command in
    up | install | down | status | env) read_options "$@" ;;
    airflow) read_version "$@"; set -- "${rest[@]}" ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; [ "$command" = help ] || exit 2; exit 0 ;;
  esac
  places
  case $command in
    airflow) need_ports; airflow_environment; exec "$venv/bin/airflow" "$@" ;;
    *) "$command" ;;
  esac
}

read_options() {
  major=3 port="" config="$repo/configs/sample.yaml" dags="$repo/dags" executor=LocalExecutor asked="" install=${CI:-false}
  while [ $# -gt 0 ]; do
    case $1 in
      --airflow) major=${2:-} ;;
      --config) config=$(realpath -- "${2:-}") ;;
      --port) port=${2:-} ;;
      --dags) dags=$(realpath -- "${2:-}") ;;
      --celery) asked=CeleryExecutor; shift; continue ;;
      --no-celery) asked=LocalExecutor; shift; continue ;;
      --install) install=true; shift; continue ;;
      *) wrong "unknown option $1: up takes --airflow, --config, --port, --dags, --celery, --no-celery, --install" ;;
    esac
    [ $# -ge 2 ] || wrong "$1 needs a value"
    shift 2
  done
  check_version
}

read_version() {   # what follows is Airflow's own business
  major=3 port="" rest=()
  dags="$repo/dags" executor=LocalExecutor
  if [ "${1:-}" = --airflow ]; then major=${2:-}; shift 2 || wrong "--airflow needs a value"; fi
  rest=("$@")
  check_version
}

check_version() { case $major in 2 | 3) ;; *) wrong "--airflow $major: 2 and 3 are known" ;; esac; }

up() {
  mkdir -p "$here"
  exec 9> "$here/lock"   # a second `up` waits for the first
  flock 9
  choose_executor
  if all_running; then say "already up"; tell; return; fi
  check_needs
  make_environment
  choose_ports
  start_postgres
  airflow_environment
  prepare_airflow
  compile_pipeline
  start_airflow
  wait_until_healthy
  tell
}

install() {
  mkdir -p "$here"
  find_uv || stop "missing: uv (make setup brings it)"
  make_environment
}

down() {
  [ -d "$here" ] || { say "nothing to stop: there is no $here"; return; }
  stop_processes
  stop_postgres
  say "stopped; the data stays in $here"
}

status() {
  local name state worst=0
  need_ports
  for name in postgres $(services); do
    state=$(state_of "$name")
    printf '%-16s %s\n' "$name" "$state"
    [ "$state" = running ] || worst=3
  done
  tell
  return "$worst"
}

env() {
  need_ports
  airflow_environment
  printf 'export %s\n' "${given[@]@Q}"
}

tell() {
  need_ports
  echo "Airflow $(airflow_version): http://127.0.0.1:$web_port   user admin, password in $here/password"
}

main "$@"

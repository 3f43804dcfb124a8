# shellcheck shell=bash disable=SC1090,SC2034,SC2154
# What both engines have in common: where things lie, Beam's worker pools, commands. The engine's own part, spark.sh or flink.sh in this
# folder, says which service leads the workers (`leader`), on which ports, and how each is started.
#
# The workers share nothing but the file system: each has an address of its own in 127.0.0.0/8, a worker pool there, and a hosts file for its
# Java machine in which the name `pool` is that address.

for part in say processes; do . "$repo/deploy/local/$part.sh"; done
. "$repo/deploy/engines/$engine.sh"
say() { printf '%s: %s\n' "$engine" "$*" >&2; }
postgres_state() { echo stopped; }   # processes.sh asks; there is none here

main() {
  local command=${1:-help}
  [ $# -eq 0 ] || shift
  places
  case $command in
    up) read_options "$@"; up ;;
    install | status | down) [ $# -eq 0 ] || wrong "$command takes nothing more"; "$command" ;;
    run) run_pipeline "$@" ;;
    *) sed -n '2,11s/^# \{0,1\}//p' "$script"; [ "$command" = help ] || exit 2 ;;
  esac
}

places() {
  places_of_all
  "places_of_$engine"
}

places_of_all() {
  here=$(realpath -m -- "${TFX_RETAIL_DEPLOY:-$repo/.cache/engines}/$engine")
  jars="$repo/.cache/engines/$engine/jars"   # one for all deployments
  conf="$here/conf" class_path="$jars/*" settings=() logs="$here/logs" run="$here/run"
  python="${TFX_RETAIL_PYTHON:-$repo/.venv/bin/python}"
  workers=$(cat "$here/workers" 2> /dev/null || echo 2)
}

read_options() {
  asked=""
  while [ $# -gt 0 ]; do
    case $1 in
      --workers) [[ ${2:-} =~ ^[1-9]$ ]] || wrong "--workers takes a number from 1 to 9"; asked=$2; shift 2 ;;
      *) wrong "unknown option $1: up takes --workers" ;;
    esac
  done
}

up() {
  local name
  mkdir -p "$here" "$conf" "$logs" "$run"
  exec 9> "$here/lock"   # a second `up` waits for the first
  flock 9
  if running_services > /dev/null && [ "${asked:-$workers}" != "$workers" ]; then stop "it runs with $workers workers: call down first"; fi
  workers=${asked:-$workers}
  printf '%s' "$workers" > "$here/workers"
  install
  need_ports
  write_hosts
  configure
  for name in $(services); do
    if [ "$(state_of "$name")" != running ]; then say "starting $name"; fi
    case $name in
      pool-*) start "$name" env "${pool_environment[@]}" "$python" -W ignore -m tfx_retail.worker.pool --listen "$(address "${name##*-}"):$pool_port" ;;
      *) "start_${name%%-[0-9]*}" "$name" ;;
    esac
    await "$name"
  done
  say "up: job server localhost:$job_port, $workers workers of one core each; deploy/$engine.sh run CONFIG"
}

install() {
  local missing=()
  command -v java > /dev/null || missing+=("Java 17 (Debian: apt-get install openjdk-17-jre-headless)")
  [ -x "$python" ] || missing+=("the TFX environment, $python (make setup brings it)")
  if [ ! -f "$jars/.made_from" ]; then command -v mvn > /dev/null || missing+=("Maven (Debian: apt-get install maven)"); fi
  if [ ${#missing[@]} -gt 0 ]; then printf -v missing '%s; ' "${missing[@]}"; stop "missing: ${missing%; }"; fi
  fetch_jars
}

fetch_jars() {
  local pom="$repo/deploy/engines/$engine.xml" made_from
  made_from=$(sha256sum < "$pom" | cut -c1-16)
  if [ "$(cat "$jars/.made_from" 2> /dev/null)" = "$made_from" ]; then return; fi
  say "fetching $engine and Beam's job server: some minutes, 300 MB at most"
  rm -rf "$jars"
  mkdir -p "$jars"
  mvn --batch-mode --quiet -f "$pom" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$jars" > "$jars.log" 2>&1 ||
    stop "Maven failed: $(grep -m1 ERROR "$jars.log" || echo "look into $jars.log")"
  printf '%s' "$made_from" > "$jars/.made_from"
}

status() {
  local name worst=0
  [ -n "${workers:-}" ] || { say "not set up: deploy/$engine.sh up"; exit 3; }
  for name in $(services); do
    printf '%-14s %s\n' "$name" "$(state_of "$name")"
    [ "$(state_of "$name")" = running ] || worst=3
  done
  return "$worst"
}

down() {
  [ -d "$run" ] || { say "nothing to stop: there is no $run"; return; }
  stop_processes
  rm -rf "$here/scratch"
  say "stopped; logs stay in $logs"
}

# The same configuration, on the cluster.
run_pipeline() {
  local config=${1:-}
  [ -n "$config" ] || wrong "run takes a configuration, and what \`tfx-retail run\` takes besides"
  shift
  PYTHONPATH="$repo" exec "$python" -W ignore -m tfx_retail run "$config" --set "beam.profile=$engine" --set "beam.job_server=localhost:$job_port" \
    --set "beam.workers=pool:$pool_port" "${settings[@]}" "$@"
}

# ---- helpers ----

services() {
  local worker
  echo "$leader"
  for ((worker = 1; worker <= workers; worker++)); do echo "pool-$worker worker-$worker"; done
  echo jobs
}

listens() {
  case $1 in
    "$leader") echo "localhost:$leader_port" ;;
    pool-*) echo "$(address "${1##*-}"):$pool_port" ;;
    jobs) echo "localhost:$job_port" ;;
  esac
}

address() { echo "127.0.0.$((base + $1))"; }   # of worker 1, 2, ...

write_hosts() {
  local worker
  for ((worker = 1; worker <= workers; worker++)); do
    printf '%s pool\n127.0.0.1 localhost %s\n' "$(address "$worker")" "$(hostname)" > "$conf/hosts-$worker"
  done
  pool_environment=("PYTHONPATH=$repo" TF_CPP_MIN_LOG_LEVEL=3 "OMP_NUM_THREADS=1")
}

hosts_of() { echo "-Djdk.net.hosts.file=$conf/hosts-$1"; }

need_ports() {
  local wanted
  for wanted in "localhost $job_port" "localhost $leader_port"; do
    if ! running_services > /dev/null && used "${wanted% *}" "${wanted##* }"; then stop "port ${wanted##* } is in use: stop what listens there"; fi
  done
}

used() { (exec 3<> "/dev/tcp/$1/$2") 2> /dev/null; }

running_services() {
  local name found=1
  for name in $(services); do if [ "$(state_of "$name")" = running ]; then echo "$name"; found=0; fi; done
  return $found
}

await() {   # await NAME: until it listens
  local where waited=0
  where=$(listens "$1")
  [ -n "$where" ] || return 0
  until used "${where%:*}" "${where##*:}"; do
    [ "$(state_of "$1")" = running ] || stop "$1 ended: $(tail -1 "$logs/$1.log"); the whole story is in $logs/$1.log"
    waited=$((waited + 1))
    [ $waited -lt 600 ] || stop "$1 does not listen on $where after five minutes: look into $logs/$1.log"
    sleep 0.5
  done
}

opens() {   # Java 17 keeps what Spark and Flink reach into closed
  local package
  for package in java.lang java.lang.invoke java.lang.reflect java.io java.net java.nio java.util java.util.concurrent \
    java.util.concurrent.atomic java.time sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar; do
    printf -- '--add-opens=java.base/%s=ALL-UNNAMED\n' "$package"
  done
}

short_lived=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1)   # these machines move little data: compiling twice would cost more than it brings

start_job_server() {   # start_job_server MAIN ITS OWN ARGUMENTS...
  start_java jobs 512 "$@" --job-host=localhost "--job-port=$job_port" "--artifact-port=$artifact_port" --expansion-port=0 \
    "--artifacts-dir=$here/scratch/artifacts" --clean-artifacts-per-job=true
}

start_java() {   # start_java NAME MEGABYTES MAIN ARGUMENTS...
  local name=$1 memory=$2
  shift 2
  mapfile -t opened < <(opens)
  start "$name" java "-Xmx${memory}m" "${short_lived[@]}" "${opened[@]}" "${java_options[@]}" -cp "$class_path" "$@"
}

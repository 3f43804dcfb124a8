# shellcheck shell=bash disable=SC2034,SC2154
# Where things lie, which ports they use, and the secrets, which are drawn once.

places() {
  here=$(realpath -m -- "${TFX_RETAIL_DEPLOY:-$repo/.cache/airflow}/$major")
  venv="$repo/.cache/airflow/$major/venv"   # one for all deployments
  home="$here/home" data="$here/postgres" logs="$here/logs" run="$here/run" pipelines="$here/pipelines"
  tfx="${TFX_RETAIL_COMMAND:-$repo/.venv/bin/tfx-retail}"
}

# A port once chosen stays while anything of ours runs; after `down` another program may have taken it.
choose_ports() {
  mkdir -p "$home" "$logs" "$run" "$pipelines"
  if [ -f "$here/ports" ] && any_running; then need_ports; return; fi
  local name wanted taken=" "
  : > "$here/ports.new"
  for wanted in postgres:5433 web:${port:-8080} logs:8793 triggerer_logs:8794 health:8974 redis:6380; do
    name=${wanted%%:*}
    wanted=${wanted##*:}
    if [ "$name" = web ] && [ -n "$port" ] && used "$port"; then wrong "port $port is in use: leave --port away, or name a free one"; fi
    while used "$wanted" || [[ $taken == *" $wanted "* ]]; do wanted=$((wanted + 1)); done
    taken+="$wanted "
    echo "${name}_port=$wanted" >> "$here/ports.new"
  done
  mv "$here/ports.new" "$here/ports"
  need_ports
}

need_ports() {
  [ -f "$here/ports" ] || stop "Airflow $major is not set up in $here: deploy/local.sh up --airflow $major"
  # shellcheck source=/dev/null
  . "$here/ports"
  if [ -f "$here/executor" ]; then executor=$(cat "$here/executor"); fi
}

# What was asked for, else what it was the last time. `status`, `down` and `airflow` read it too.
choose_executor() {
  local before
  before=$(cat "$here/executor" 2> /dev/null || true)
  executor=${asked:-${before:-LocalExecutor}}
  if [ -n "$before" ] && [ "$before" != "$executor" ] && any_running; then stop "it runs with $before: call down first"; fi
  printf '%s' "$executor" > "$here/executor"
}

used() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

# secret NAME: 32 random bytes in URL-safe base64, which is also what Airflow wants for a Fernet key.
secret() {
  local file="$here/secrets/$1"
  if [ ! -s "$file" ]; then (umask 077; mkdir -p "$here/secrets"; head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' > "$file"); fi
  cat "$file"
}

password() {
  if [ ! -s "$here/password" ]; then (umask 077; head -c 9 /dev/urandom | base64 | tr '+/' '-_' > "$here/password"); fi
  cat "$here/password"
}

# shellcheck shell=bash disable=SC2034,SC2154
# Airflow itself: its settings as environment variables, its database, its services.

services() {
  if [ "$major" = 3 ]; then printf '%s ' api-server dag-processor; else printf '%s ' webserver; fi
  printf '%s ' scheduler triggerer
  if [ "$executor" = CeleryExecutor ]; then printf '%s ' redis worker-1 worker-2; fi
}

airflow_environment() {
  local store="127.0.0.1:$postgres_port"
  given=()
  give AIRFLOW_HOME "$home"
  give AIRFLOW__CORE__DAGS_FOLDER "$dags"
  give AIRFLOW__CORE__EXECUTOR "$executor"
  give AIRFLOW__CORE__LOAD_EXAMPLES False
  give AIRFLOW__CORE__PARALLELISM 4
  give AIRFLOW__CORE__FERNET_KEY "$(secret fernet)="
  give AIRFLOW__DATABASE__SQL_ALCHEMY_CONN "postgresql+psycopg2://retail:$(secret postgres)@$store/airflow"
  give AIRFLOW__LOGGING__BASE_LOG_FOLDER "$logs/tasks"
  give AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT "$logs_port"
  give AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT "$triggerer_logs_port"
  give AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT "$health_port"
  if [ "$executor" = CeleryExecutor ]; then
    give AIRFLOW__CELERY__BROKER_URL "redis://127.0.0.1:$redis_port/0"
    give AIRFLOW__CELERY__RESULT_BACKEND "db+postgresql://retail:$(secret postgres)@$store/airflow"
    give AIRFLOW__CELERY__WORKER_CONCURRENCY 2
  fi
  "settings_of_airflow_$major"
  give TFX_RETAIL_PIPELINES "$pipelines"
  give TFX_RETAIL_COMMAND "$tfx"
  give TFX_RETAIL_METADATA "postgresql://retail:$(secret postgres)@$store/mlmd"
  export PATH="$venv/bin:$PATH" PYTHONWARNINGS=ignore
}

# A task whose worker died is noticed after a minute and a new DAG file after half of one; Airflow's own defaults are five minutes each.
settings_of_airflow_3() {
  give AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT 60
  give AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL 30
  give AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT 30   # the default of 5 s fails tasks while a training fills every core
  give AIRFLOW__CORE__EXECUTION_API_SERVER_URL "http://127.0.0.1:$web_port/execution/"
  give AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS admin:admin
  give AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE "$here/secrets/users.json"
  give AIRFLOW__API__HOST 127.0.0.1
  give AIRFLOW__API__PORT "$web_port"
  give AIRFLOW__API__BASE_URL "http://127.0.0.1:$web_port"
  give AIRFLOW__API__SECRET_KEY "$(secret web)"
  give AIRFLOW__API_AUTH__JWT_SECRET "$(secret jwt)"
}

settings_of_airflow_2() {
  give AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD 60
  give AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL 30
  give AIRFLOW__WEBSERVER__WEB_SERVER_HOST 127.0.0.1
  give AIRFLOW__WEBSERVER__WEB_SERVER_PORT "$web_port"
  give AIRFLOW__WEBSERVER__BASE_URL "http://127.0.0.1:$web_port"
  give AIRFLOW__WEBSERVER__WORKERS 2
  give AIRFLOW__WEBSERVER__SECRET_KEY "$(secret web)"
  give AIRFLOW__API__AUTH_BACKENDS airflow.providers.fab.auth_manager.api.auth.backend.basic_auth,airflow.api.auth.backend.session
}

give() {   # give NAME VALUE: what the caller's environment says wins
  if [ -z "${!1:-}" ]; then export "$1=$2"; fi
  given+=("$1=${!1}")
}

prepare_airflow() {
  local version
  version=$(airflow_version)
  if [ "$(cat "$here/prepared" 2> /dev/null)" = "$version" ]; then return; fi
  say "preparing Airflow's database"
  {
    airflow db migrate
    airflow pools set tfx_heavy 1 "nodes that fill the machine: one at a time"
    make_admin
  } >> "$logs/prepare.log" 2>&1 < /dev/null || stop "Airflow's database could not be prepared: $logs/prepare.log"
  printf '%s' "$version" > "$here/prepared"
}

make_admin() {
  local word
  word=$(password)
  if [ "$major" = 3 ]; then
    (umask 077; printf '{"admin": "%s"}' "$word" > "$here/secrets/users.json")
  else
    airflow users create --role Admin --username admin --password "$word" --firstname A --lastname Dmin --email admin@localhost
  fi
}

# Kept apart from runs of the same configuration by hand: two metadata stores must not share one folder of results.
compile_pipeline() {
  local name target
  name=$(sed -n 's/^name: *\([a-z0-9_]*\).*/\1/p' "$config")
  target="$pipelines/$name.json"
  if [ "$target" -nt "$config" ]; then return; fi
  say "compiling $config"
  "$tfx" compile "$config" --set "root=$here/output" --set "serving.dir=$here/serving" -o "$target" || stop "$config could not be compiled"
}

start_airflow() {
  local name
  rm -f "$home"/*.pid   # left by a web server that was killed; it would refuse to start
  # A title of its own would be written over the environment that bears our mark.
  if [ "$executor" = CeleryExecutor ]; then
    start redis redis-server --bind 127.0.0.1 --port "$redis_port" --save '' --dir "$run" --set-proc-title no
  fi
  for name in $(services); do
    case $name in
      redis) ;;
      worker-*) start "$name" airflow celery worker --celery-hostname "$name@%h" --skip-serve-logs ;;
      *) start "$name" airflow "$name" ;;
    esac
  done
}

# A service that ends meanwhile, because the database was away when `up` looked, is started again; one that cannot start is told. One that is
# about to end still counts as running, and as healthy for half a minute, so each has to give a sign of life after we began to wait.
wait_until_healthy() {
  local waited=0 starts=6 name since page=api/v2/monitor/health
  since=$(date +%s)
  [ "$major" = 3 ] || page=health
  say "waiting for Airflow"
  until healthy "http://127.0.0.1:$web_port/$page" "$since"; do
    for name in $(services); do
      if [ "$(state_of "$name")" = running ]; then continue; fi
      starts=$((starts - 1))
      if [ $starts -gt 0 ]; then start_airflow; else stop "$name ended: $(tail -1 "$logs/$name.log"); the whole story is in $logs/$name.log"; fi
    done
    waited=$((waited + 1))
    [ $waited -lt 120 ] || stop "Airflow is not healthy after two minutes: look into $logs"
    sleep 1
  done
}

healthy() {   # healthy PAGE SECOND: every service has beaten since that second
  "$venv/bin/python" - "$@" <<'PYTHON' 2> /dev/null
import datetime, json, sys, urllib.request
parts = json.load(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=5))
needed = {"scheduler", "triggerer"} | ({"dag_processor"} if "v2" in sys.argv[1] else set())
beats = [datetime.datetime.fromisoformat(parts[name][f"latest_{name}_heartbeat"]).timestamp() for name in needed]
well = all(parts[name]["status"] == "healthy" for name in needed | {"metadatabase"})
sys.exit(not (well and min(beats) >= int(sys.argv[2])))
PYTHON
}

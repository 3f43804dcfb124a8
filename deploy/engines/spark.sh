# shellcheck shell=bash disable=SC2034,SC2154
# Spark standalone: a master, workers of one core each, Beam's job server as the driver of every application.

leader=master job_port=8099 artifact_port=8098 leader_port=7077 pool_port=50000 base=1   # workers are 127.0.0.2, 127.0.0.3, ...

# The cluster's jars are on every machine: without files_to_stage the job server would send them all with each job.
places_of_spark() {
  class_path="$conf:$jars/*"   # Spark's logging is set by a file
  settings=(--set "beam.args=[\"--files_to_stage=$conf/log4j2.properties\"]")
}

configure() {
  mkdir -p "$here/install"
  ln -sfn "$jars" "$here/install/jars"   # Spark looks for its jars below its home
  export SPARK_HOME="$here/install" SPARK_SCALA_VERSION=2.12 SPARK_LOCAL_IP=127.0.0.1 SPARK_LOCAL_DIRS="$here/scratch"
  export SPARK_CONF_DIR="$conf"   # stands on the class path of executors, too
  cat > "$conf/log4j2.properties" <<'LOG'
rootLogger.level = warn
rootLogger.appenderRef.err.ref = err
appender.err.type = Console
appender.err.name = err
appender.err.target = SYSTEM_ERR
appender.err.layout.type = PatternLayout
appender.err.layout.pattern = %d{HH:mm:ss} %p %c{1} %m%n
LOG
  java_options=()
}

start_master() { start_java master 256 org.apache.spark.deploy.master.Master --host 127.0.0.1 --port "$leader_port" --webui-port 0; }

# JAVA_TOOL_OPTIONS reaches the executors, which the worker starts: it is they who ask the pool.
start_worker() {
  local where
  where=$(address "${1##*-}")
  JAVA_TOOL_OPTIONS=$(hosts_of "${1##*-}") SPARK_LOCAL_IP=$where start_java "$1" 256 org.apache.spark.deploy.worker.Worker --host "$where" \
    --cores 1 --memory 1g --webui-port 0 --work-dir "$here/scratch/$1" "spark://127.0.0.1:$leader_port"
}

# As few executors as there are workers, and each keeps what it has: a stage that waits for a worker process must not be moved elsewhere.
# An executor whose worker process was killed goes on asking the dead one (Beam 2.62), and would fail a task four times, which ends the job:
# so the first failure ends the executor, and the master starts another, which asks the pool for a new process.
start_jobs() {
  java_options=(-Dspark.executor.memory=600m -Dspark.driver.host=127.0.0.1 -Dspark.ui.enabled=false -Dspark.locality.wait=0
    "-Dspark.default.parallelism=$((2 * workers))" "-Dspark.executor.extraJavaOptions=${short_lived[*]}" -Dspark.network.timeout=120s
    -Dspark.excludeOnFailure.enabled=true -Dspark.excludeOnFailure.killExcludedExecutors=true
    -Dspark.excludeOnFailure.application.maxFailedTasksPerExecutor=1 -Dspark.excludeOnFailure.application.maxFailedExecutorsPerNode=1000
    -Dspark.excludeOnFailure.stage.maxFailedTasksPerExecutor=1 -Dspark.excludeOnFailure.stage.maxFailedExecutorsPerNode=1000
    -Dspark.excludeOnFailure.task.maxTaskAttemptsPerNode=7 -Dspark.task.maxFailures=8)
  start_job_server org.apache.beam.runners.spark.SparkJobServerDriver "--spark-master-url=spark://127.0.0.1:$leader_port"
}

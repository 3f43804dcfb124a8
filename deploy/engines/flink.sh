# shellcheck shell=bash disable=SC2034,SC2154
# Flink as a session cluster: a job manager, task managers of one slot each, Beam's job server.

leader=manager job_port=8199 artifact_port=8198 leader_port=8181 pool_port=50000 base=10   # workers are 127.0.0.11, 127.0.0.12, ...

places_of_flink() { :; }

configure() {
  local worker
  export FLINK_CONF_DIR="$conf"
  java_options=("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
  flink_settings > "$conf/config.yaml"
}

# The job server sends its jars with each job; they are on every machine, so the machine's own are taken (parent-first).
# Longer limits than Flink's own, for a machine that also runs tests (the ten seconds that its own start may take are not among what can be
# set). Every figure of memory is given: Flink's shell scripts, which would work them out, are in no registry.
flink_settings() {
  cat <<YAML
jobmanager.rpc.address: localhost
jobmanager.rpc.port: 6124
jobmanager.bind-host: 127.0.0.1
rest.address: localhost
rest.bind-address: 127.0.0.1
rest.port: $leader_port
blob.server.port: 6125
io.tmp.dirs: $here/scratch
parallelism.default: $workers
taskmanager.numberOfTaskSlots: 1
taskmanager.cpu.cores: 1
taskmanager.memory.framework.heap.size: 128mb
taskmanager.memory.framework.off-heap.size: 128mb
taskmanager.memory.task.heap.size: 256mb
taskmanager.memory.task.off-heap.size: 0mb
taskmanager.memory.managed.size: 128mb
taskmanager.memory.network.min: 256mb
taskmanager.memory.network.max: 256mb
taskmanager.memory.jvm-metaspace.size: 256mb
taskmanager.memory.jvm-overhead.min: 128mb
taskmanager.memory.jvm-overhead.max: 128mb
classloader.resolve-order: parent-first
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 3
restart-strategy.fixed-delay.delay: 1s
pekko.ask.timeout: 60 s
heartbeat.timeout: 50000
heartbeat.interval: 5000
YAML
}

start_manager() {
  start_java manager 512 org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint --configDir "$conf"
}

start_worker() {
  local number=${1##*-}
  local java_options=("${java_options[@]}" "$(hosts_of "$number")" -XX:MaxDirectMemorySize=400m -XX:MaxMetaspaceSize=256m)
  start_java "$1" 384 org.apache.flink.runtime.taskexecutor.TaskManagerRunner --configDir "$conf" \
    -D "taskmanager.host=$(address "$number")" -D "taskmanager.bind-host=$(address "$number")" -D "taskmanager.resource-id=worker-$number"
}

start_jobs() {
  start_job_server org.apache.beam.runners.flink.FlinkJobServerDriver "--flink-master=localhost:$leader_port" "--flink-conf-dir=$conf"
}

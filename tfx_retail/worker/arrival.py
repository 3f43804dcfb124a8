"""What a runner gives a worker to begin with: the job's options, and the package that travelled with it."""

import io
import tarfile
from pathlib import Path
from typing import NamedTuple

import grpc
from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_artifact_api_pb2_grpc,
    beam_fn_api_pb2,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
)
from google.protobuf import json_format

from tfx_retail.worker import facts

_ANSWER_S = 30  # in which the runner has to answer
_SUFFIX = "-tfx-retail.tar.gz"  # as `shipped` names it


class Arrived(NamedTuple):
    """A job, as far as a worker has to know it before it begins."""

    options: str  # JSON
    package: Path  # folder for Python's path
    submitter: bytes  # JSON, see `facts`


class NothingArrived(Exception):
    """The job brought no package of ours."""


def fetch(request: beam_fn_api_pb2.StartWorkerRequest, folder: Path) -> Arrived:
    """Returns what the runner has for a worker, the package unpacked below `folder`.

    Raises:
      NothingArrived: no package, or one that cannot be unpacked.
      grpc.RpcError: the runner does not answer.
    """
    worker = (("worker_id", request.worker_id),)
    with grpc.insecure_channel(request.provision_endpoint.url) as channel:
        asked = beam_provision_api_pb2.GetProvisionInfoRequest()
        info = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel).GetProvisionInfo(asked, metadata=worker, timeout=_ANSWER_S).info
    with grpc.insecure_channel(info.artifact_endpoint.url or request.artifact_endpoint.url) as channel:
        artifacts = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(channel)
        asked = beam_artifact_api_pb2.ResolveArtifactsRequest(artifacts=info.dependencies)
        resolved = artifacts.ResolveArtifacts(asked, metadata=worker, timeout=_ANSWER_S).replacements
        package = next((item for item in resolved if _staged_name(item).endswith(_SUFFIX)), None)
        if package is None:
            raise NothingArrived("the job brought no package of tfx-retail; submit it by tfx-retail")
        place = folder / _staged_name(package).removesuffix(_SUFFIX)
        if not place.is_dir():
            asked = beam_artifact_api_pb2.GetArtifactRequest(artifact=package)
            parts = artifacts.GetArtifact(asked, metadata=worker, timeout=_ANSWER_S)
            _unpack(b"".join(part.data for part in parts), place)
    (top,) = place.iterdir()
    return Arrived(json_format.MessageToJson(info.pipeline_options), top, (top / facts.NAME).read_bytes())


def _staged_name(artifact: beam_runner_api_pb2.ArtifactInformation) -> str:
    return str(beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(artifact.role_payload).staged_name)


def _unpack(packed: bytes, place: Path) -> None:
    draft = place.with_name(f".{place.name}.draft")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(draft, filter="data")
    draft.replace(place)

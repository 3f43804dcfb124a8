"""Every profile of the configuration, read by the installed Beam: an argument that a new Beam does not know makes its profile stale."""

from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DebugOptions, GoogleCloudOptions, PipelineOptions, PortableOptions, SetupOptions

from tfx_retail import cluster
from tfx_retail.engines import BeamConfig, DataflowConfig, arguments
from tfx_retail.errors import RunError

PROFILES = {
    "local": BeamConfig(args=("--direct_num_workers=2",)),
    "spark": BeamConfig(profile="spark"),
    "submitter": BeamConfig(profile="spark", workers="submitter"),
    "flink": BeamConfig(profile="flink", job_server="jobs:8099", parallelism=8),
    "dataflow": BeamConfig(
        profile="dataflow",
        dataflow=DataflowConfig(
            project="shelves", region="europe-west4", temp="gs://shelves/temp", image="eu.pkg/retail", service_account="a@b.c"
        ),
    ),
}


def options_of(profile: str) -> PipelineOptions:
    return PipelineOptions(arguments(PROFILES[profile], Path("/shared/p.tar.gz"), "/shared/shop"))


@pytest.mark.parametrize("profile", PROFILES)
def test_beam_knows_every_argument_of_the_profile(profile: str) -> None:
    assert cluster.unknown_arguments(arguments(PROFILES[profile], Path("/shared/p.tar.gz"), "/shared/shop")) == []


def test_beam_reads_the_portable_profiles_as_they_are_meant() -> None:
    portable = options_of("flink").view_as(PortableOptions)
    assert (portable.job_endpoint, portable.environment_type, portable.environment_config) == ("jobs:8099", "EXTERNAL", "localhost:50000")
    assert int(portable.environment_cache_millis) == 0
    assert int(options_of("spark").view_as(PortableOptions).environment_cache_millis) == 600_000
    assert options_of("flink").get_all_options()["parallelism"] == 8
    assert options_of("submitter").view_as(PortableOptions).environment_type == "LOOPBACK"
    assert "tfx_retail_root=/shared/shop" in options_of("spark").view_as(DebugOptions).experiments
    assert options_of("spark").view_as(SetupOptions).extra_packages == ["/shared/p.tar.gz"]


def test_beam_reads_dataflows_profile_as_it_is_meant() -> None:
    cloud = options_of("dataflow").view_as(GoogleCloudOptions)
    assert (cloud.project, cloud.region, cloud.temp_location) == ("shelves", "europe-west4", "gs://shelves/temp")


def test_an_argument_that_beam_does_not_know_is_refused_by_its_name() -> None:
    given = [*arguments(PROFILES["spark"], Path("/shared/p.tar.gz"), "/shared/shop"), "--flink_versoin=1.19", "--also=1"]
    assert cluster.unknown_arguments(given) == ["flink_versoin", "also"]
    assert cluster.unknown_arguments(given, known=["also"]) == ["flink_versoin"]


def test_a_job_server_that_is_not_there_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER_S", 0.2)
    given = arguments(BeamConfig(profile="spark", job_server="127.0.0.1:9"), Path("/shared/p.tar.gz"), "/shared/shop")
    with pytest.raises(RunError, match=r"^beam.job_server: nothing answers at 127.0.0.1:9; start it"):
        cluster.check(tuple(given))


def test_dataflow_without_credentials_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    given = arguments(PROFILES["dataflow"], Path("/shared/p.tar.gz"), "/shared/shop")
    with pytest.raises(RunError, match="no credentials of Google Cloud here"):
        cluster.check(tuple(given))


def test_work_in_process_asks_nobody() -> None:
    with cluster.at_work(["--direct_num_workers=1"]):
        assert beam.__version__

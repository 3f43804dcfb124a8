"""Profiles: what each hands to Beam, and which settings are refused."""

from pathlib import Path

import msgspec
import pytest

from tfx_retail.engines import BeamConfig, DataflowConfig, arguments

PACKAGE = Path("/shared/shop/inputs/1-tfx-retail.tar.gz")
CLOUD = DataflowConfig(project="shelves", region="europe-west4", temp="gs://shelves/temp")


def test_the_local_profile_says_nothing_to_beam() -> None:
    assert arguments(BeamConfig(), None, "/shared/shop") == []


def test_spark_gets_a_job_server_worker_pools_the_package_and_a_mark_by_which_its_jobs_are_known() -> None:
    assert arguments(BeamConfig(profile="spark"), PACKAGE, "/shared/shop") == [
        "--runner=PortableRunner",
        "--job_endpoint=localhost:8099",
        "--job_server_timeout=20",
        "--environment_type=EXTERNAL",
        "--environment_config=localhost:50000",
        "--environment_cache_millis=600000",
        "--sdk_worker_parallelism=1",
        "--extra_package=/shared/shop/inputs/1-tfx-retail.tar.gz",
        "--experiments=disable_logging_submission_environment",
        "--experiments=tfx_retail_profile=spark",
        "--experiments=tfx_retail_root=/shared/shop",
        "--experiments=tfx_retail_patience=45",
    ]


def test_flink_takes_as_many_slots_as_it_is_told() -> None:
    given = BeamConfig(profile="flink", job_server="jobs:8199", parallelism=8)
    assert {"--job_endpoint=jobs:8199", "--parallelism=8"} <= set(arguments(given, PACKAGE, "/shared/shop"))


def test_the_submitter_may_do_the_work_itself() -> None:
    found = arguments(BeamConfig(profile="spark", workers="submitter"), PACKAGE, "/shared/shop")
    assert "--environment_type=LOOPBACK" in found
    assert not [argument for argument in found if argument.startswith("--environment_config")]


def test_dataflow_gets_what_google_asks_for() -> None:
    assert arguments(BeamConfig(profile="dataflow", dataflow=CLOUD), PACKAGE, "/shared/shop")[:4] == [
        "--runner=DataflowRunner",
        "--project=shelves",
        "--region=europe-west4",
        "--temp_location=gs://shelves/temp",
    ]


def test_further_arguments_come_last() -> None:
    assert arguments(BeamConfig(args=("--direct_num_workers=2",)), None, "/shared/shop") == ["--direct_num_workers=2"]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"profile": "heron"}, "Invalid enum value 'heron'"),
        ({"job_server": "jobs:8099"}, "job_server: goes with profile spark or flink, and profile is local"),
        ({"profile": "dataflow", "workers": "localhost:50000"}, "workers: goes with profile spark or flink, and profile is dataflow"),
        ({"profile": "spark", "parallelism": 2}, "parallelism: goes with profile flink, and profile is spark"),
        ({"profile": "dataflow"}, "dataflow: goes with profile dataflow, is needed there, and profile is dataflow"),
        ({"dataflow": msgspec.to_builtins(CLOUD)}, "dataflow: goes with profile dataflow, is needed there, and profile is local"),
        ({"profile": "spark", "job_server": "http://jobs:8099"}, "job_server: expected host:port"),
        ({"profile": "spark", "workers": "pool"}, "workers: expected host:port or submitter"),
        ({"args": ["--runner=SparkRunner"]}, "args: --runner is for profile local to set; leave it out, or choose another profile"),
        ({"profile": "flink", "args": ["--environment_config=x:1"]}, "args: --environment_config is for profile flink to set"),
        ({"args": ["direct_num_workers=2"]}, "args: 'direct_num_workers=2' is not of the form --name=value"),
        ({"profile": "flink", "parallelism": 0}, "Expected `int` >= 1"),
    ],
)
def test_contradictory_settings_are_refused_with_the_reason(given: dict[str, object], fault: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(given, BeamConfig)
    assert fault in str(caught.value)

"""Spark and Flink for real: the same results as in process, whoever dies meanwhile. Minutes each: `make test-engines` runs them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import digests
from tests.engines.clusters import BEAM_NODES, Cluster, Shop, missing

pytestmark = [pytest.mark.engines, pytest.mark.skipif(bool(missing()), reason=missing())]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def local(folder: Path) -> dict[str, str]:
    """Returns the digests of a run in process."""
    return digests.of_run(Shop(folder, "local").run())


@pytest.fixture(scope="module", params=["spark", "flink"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    started = Cluster(request.param)
    started.call("up")
    yield started
    started.call("down")


def test_the_whole_pipeline_comes_to_the_same_on_an_engine(cluster: Cluster, folder: Path, local: dict[str, str]) -> None:
    facts = Shop(folder, cluster.engine).run()
    assert facts.state in ("blessed", "not blessed", "done")
    assert digests.of_run(facts) == local


def test_what_goes_in_comes_out_or_is_told(cluster: Cluster, folder: Path) -> None:
    counted = digests.counts(Shop(folder, cluster.engine).facts())
    for kind in ("photos", "boxes"):
        tally = counted[kind]
        assert tally["in"] == tally["out"] + tally["rejected"] + tally["set_aside"]
    assert counted["photos"]["in"] == 120


def test_a_worker_that_is_killed_in_each_node_changes_nothing(cluster: Cluster, folder: Path, local: dict[str, str]) -> None:
    shop = Shop(folder, cluster.engine)
    with cluster.kill_workers(shop) as killed:
        found = digests.of_run(shop.run())
    assert set(killed) == set(BEAM_NODES)
    assert found == local


def test_a_pool_that_is_gone_is_told_in_one_line(cluster: Cluster, folder: Path) -> None:
    shop = Shop(folder, cluster.engine)
    shop.run("--to", "ExampleGen", "--set", "beam.workers=pool:50999", code=1)
    assert "beam.workers: no worker pool answers at pool:50999" in shop.text


def test_the_other_engines_job_server_is_told_in_one_line(cluster: Cluster, folder: Path) -> None:
    shop = Shop(folder, cluster.engine)
    other = {"spark": "flink", "flink": "spark"}[cluster.engine]
    shop.run("--to", "ExampleGen", "--set", f"beam.profile={other}", code=1)
    assert f"is one of {cluster.engine}, and beam.profile is {other}" in shop.text

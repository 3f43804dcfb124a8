"""Who trains together: TF_CONFIG as people write it, and what is refused of it."""

import json
from typing import Any

import pytest

from tfx_retail import team
from tfx_retail.errors import UserError
from tfx_retail.team import Team

TWO = ["host-a:12345", "host-b:12345"]


def environment(cluster: Any, kind: str = "worker", index: Any = 0) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def test_without_tf_config_there_is_no_team() -> None:
    assert team.of_environment({}) is None
    assert team.of_environment({"TF_CONFIG": " "}) is None


def test_workers_are_numbered_as_tf_config_lists_them() -> None:
    found = team.of_environment(environment({"worker": TWO}, index=1))
    assert found == Team(("host-a:12345", "host-b:12345"), 1)
    assert found.name(0) == "worker 0 (host-a:12345)"


@pytest.mark.parametrize(("kind", "index", "expected"), [("chief", 0, 0), ("worker", 0, 1), ("worker", "1", 2)])
def test_a_chief_is_worker_0_and_the_others_follow(kind: str, index: Any, expected: int) -> None:
    found = team.of_environment(environment({"chief": ["boss:1"], "worker": TWO}, kind, index))
    assert found == Team(("boss:1", "host-a:12345", "host-b:12345"), expected)


def test_a_worker_s_process_reads_the_same_team_from_its_own_tf_config() -> None:
    whole = Team(("boss:1", "host-a:12345"), 1)
    assert team.of_environment({"TF_CONFIG": whole.tf_config}) == whole


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "cannot be read (JSONDecodeError"),
        ("[]", "cannot be read (TypeError"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "cannot be read (KeyError: 'task')"),
        (environment({"ps": ["c:1"], "worker": TWO})["TF_CONFIG"], "cluster has ps, allowed are worker and chief"),
        (environment({"worker": TWO}, index=2)["TF_CONFIG"], "task worker 2 is not in the cluster"),
        (environment({"worker": TWO}, "evaluator")["TF_CONFIG"], "task evaluator 0 is not in the cluster"),
        (environment({"worker": ["host-a", "host-b:1"]})["TF_CONFIG"], "'host-a': not host:port"),
        (environment({"worker": ["host-a:1", "host-a:1"]})["TF_CONFIG"], "two workers have the same address"),
        (environment({"worker": ["host-a:1"]})["TF_CONFIG"], "names one worker (host-a:1)"),
    ],
)
def test_a_broken_tf_config_is_refused_in_one_line_with_an_example(text: str, fault: str) -> None:
    with pytest.raises(UserError) as refused:
        team.of_environment({"TF_CONFIG": text})
    assert fault in str(refused.value)
    assert 'expected {"cluster": {"worker": ["host-a:12345", "host-b:12345"]}' in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_pipeline_is_run_by_worker_0() -> None:
    assert team.of_pipeline({}, 2) is None
    assert team.of_pipeline(environment({"worker": TWO}), 2) == Team(tuple(TWO), 0)
    with pytest.raises(UserError, match=r"this is worker 1 \(host-b:12345\), and worker 0 runs the pipeline"):
        team.of_pipeline(environment({"worker": TWO}, index=1), 2)


def test_others_follow_and_have_to_know_who_they_are() -> None:
    assert team.of_follower(environment({"worker": TWO}, index=1), 2).number == 1
    with pytest.raises(UserError, match="TF_CONFIG is not set: it tells which worker this is"):
        team.of_follower({}, 2)
    with pytest.raises(UserError, match=r"this is worker 0, which runs the pipeline \(`tfx-retail run`\)"):
        team.of_follower(environment({"worker": TWO}), 2)


def test_configuration_and_tf_config_have_to_name_as_many_workers() -> None:
    with pytest.raises(UserError, match=r"train\.workers is 3, and TF_CONFIG names 2 workers"):
        team.of_pipeline(environment({"worker": TWO}), 3)
    with pytest.raises(UserError, match=r"train\.workers is 3, and TF_CONFIG names 2 workers"):
        team.of_follower(environment({"worker": TWO}, index=1), 3)


def test_a_team_on_this_machine_has_a_port_for_each() -> None:
    found = team.on_this_machine(3)
    assert [address.partition(":")[0] for address in found.addresses] == ["127.0.0.1"] * 3
    assert len(set(found.addresses)) == 3

"""What several tests of training and serving share: one drawn set, one model trained on it."""

from pathlib import Path

import pytest

from tests.tf import retail_set
from tests.tf.retail_set import RetailSet
from tfx_retail import training


@pytest.fixture(scope="session")
def packs(tmp_path_factory: pytest.TempPathFactory) -> RetailSet:
    return retail_set.make(tmp_path_factory.mktemp("packs"))


@pytest.fixture(scope="session")
def trained(packs: RetailSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished training: `network`, the finished `model`, `run`, `checkpoints`, `progress.jsonl`."""
    output = tmp_path_factory.mktemp("trained")
    config = retail_set.config({"ema": 0.9, "epochs": 12})
    training.run_fn(packs.arguments(output, config, progress=str(output / "progress.jsonl")))
    retail_set.finish(packs, output)
    return output

"""The one definition of the pipeline: which nodes a configuration makes, and where those that train keep their state."""

from pathlib import Path

import msgspec

from tests.tf import retail_set
from tfx_retail import compiling
from tfx_retail.compiled import PRETRAIN, SIBLING, TRAINER, TUNER
from tfx_retail.config import Config, PretrainConfig, TuneConfig, UnknownsConfig
from tfx_retail.inputs import RunInputs
from tfx_retail.launch import compile_for_run
from tfx_retail.node_run import checkpoints_of
from tfx_retail.pipeline import build_pipeline, checkpoint_folders


def config(folder: Path, **unknowns: float) -> Config:
    return msgspec.structs.replace(retail_set.config(), root=str(folder), unknowns=msgspec.convert(unknowns, UnknownsConfig))


def inputs(folder: Path) -> RunInputs:
    files = {"catalog": folder / "catalog.csv", "labels": folder / "labels.csv", "label_map": None, "schema": None}
    return RunInputs(**files, data_digest="d", config_digest="c", baseline=None)  # type: ignore[arg-type]


def test_a_sibling_is_there_where_skus_are_held_out_and_waits_for_no_training(tmp_path: Path) -> None:
    without = {node.name for node in compiling.compile_config(config(tmp_path)).nodes}
    (sibling,) = (node for node in compiling.compile_config(config(tmp_path, hold_out=0.2)).nodes if node.name not in without)
    assert (sibling.name, sibling.heavy, sibling.tensorflow) == (SIBLING, True, True)
    assert not {TRAINER, "Predictions"} & set(sibling.upstream)


def test_each_node_that_trains_keeps_its_state_in_a_folder_of_its_own(tmp_path: Path) -> None:
    settings, given = config(tmp_path, hold_out=0.2), inputs(tmp_path)
    folders = checkpoint_folders(settings, given)
    compiled = compile_for_run(build_pipeline(settings, given), "run")
    nodes = {item.pipeline_node.node_info.id: item.pipeline_node for item in compiled.nodes}
    assert {node: checkpoints_of(nodes[node]) for node in (TRAINER, SIBLING)} == folders
    assert folders[TRAINER] != folders[SIBLING]


def test_a_trunk_that_is_trained_first_is_what_trainer_and_sibling_begin_with(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(config(tmp_path, hold_out=0.2), pretrain=PretrainConfig(path="/crops"))
    compiled = compile_for_run(build_pipeline(settings, inputs(tmp_path)), "run")
    nodes = {item.pipeline_node.node_info.id: item.pipeline_node for item in compiled.nodes}
    assert not nodes[PRETRAIN].upstream_nodes
    for name, channel in ((TRAINER, "base_model"), (SIBLING, "trunk")):
        (given,) = nodes[name].inputs.inputs[channel].channels
        assert given.producer_node_query.id == PRETRAIN
    assert checkpoints_of(nodes[PRETRAIN]) == checkpoint_folders(settings, inputs(tmp_path))[PRETRAIN]


def test_a_search_comes_before_the_trainer_which_takes_what_it_chose(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(config(tmp_path), tune=TuneConfig(space={"model.width": (8, 16)}))
    compiled = compile_for_run(build_pipeline(settings, inputs(tmp_path)), "run")
    nodes = {item.pipeline_node.node_info.id: item.pipeline_node for item in compiled.nodes}
    (given,) = nodes[TRAINER].inputs.inputs["hyperparameters"].channels
    assert given.producer_node_query.id == TUNER
    folders = checkpoint_folders(settings, inputs(tmp_path))
    assert checkpoints_of(nodes[TUNER]) == folders[TUNER] != folders[TRAINER]


def test_a_sibling_leaves_the_trainers_own_state_where_it_was(tmp_path: Path) -> None:
    given = inputs(tmp_path)
    plain, beside = (checkpoint_folders(config(tmp_path, **unknowns), given) for unknowns in ({}, {"hold_out": 0.2}))
    assert plain == {TRAINER: beside[TRAINER]}
    longer = checkpoint_folders(config(tmp_path, hold_out=0.2, epochs=9), given)
    assert longer[SIBLING] != beside[SIBLING]
    assert longer[TRAINER] == beside[TRAINER]

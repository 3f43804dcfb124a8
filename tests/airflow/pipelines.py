"""Compiled pipelines of a few nodes, made without TFX: enough for a DAG."""

from pathlib import Path
from typing import Any

from tfx_retail import compiled
from tfx_retail.compiled import Node
from tfx_retail.config import AirflowConfig, CatalogConfig, Config, DataConfig, Rule, ServingConfig, VerdictConfig

NODES = (
    Node(name="ExampleGen", upstream=(), tensorflow=True, heavy=True),
    Node(name="Labels", upstream=(), tensorflow=False, heavy=False),
    Node(name="DataGate", upstream=("ExampleGen",), tensorflow=True, heavy=False),
    Node(name="Trainer", upstream=("DataGate", "ExampleGen", "Labels"), tensorflow=True, heavy=True),
    Node(name="Pusher", upstream=("Trainer",), tensorflow=False, heavy=False),
)


def write(folder: Path, name: str = "shop", nodes: tuple[Node, ...] = NODES, **settings: Any) -> Path:
    """Returns the file of a compiled pipeline; `settings` are those of its section `airflow`."""
    config = Config(
        name=name,
        root=str(folder / "runs"),
        catalog=CatalogConfig(path="/srv/catalog.csv"),
        data=DataConfig(path="/srv/photos", format="voc"),
        serving=ServingConfig(dir="/srv/models"),
        verdict=VerdictConfig(rules=(Rule(metric="sku_accuracy", at_least=0.8),)),
        airflow=AirflowConfig(**settings),
    )
    path = folder / f"{name}.json"
    path.write_bytes(compiled.encode(compiled.sealed(config, nodes)))
    return path

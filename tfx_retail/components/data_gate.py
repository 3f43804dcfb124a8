"""The data gate: stops the run where the data breaks its schema, with a table that a person understands.

It reads what the nodes before it wrote without TensorFlow, which a task of a scheduler would load for 5 s.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf import text_format
from msgspec import Struct
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts

from tfx_retail.components.artifacts import STATISTICS_FILE, DataCheck, IngestReport
from tfx_retail.errors import RunError

ANOMALIES_FILE = "SchemaDiff.pb"


class Anomaly(Struct, frozen=True, kw_only=True):
    """One feature of one split that is not as the schema says."""

    feature: str
    split: str
    found: str
    allowed: str
    how_many: str


class GateResult(Struct, frozen=True, kw_only=True):
    """`data_check.json`."""

    passed: bool
    reviewed: bool  # whether a person has accepted the schema
    anomalies: list[Anomaly]


@component
def DataGate(  # noqa: N802  # TFX names a component after its function, and its inputs after the arguments
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    statistics: InputArtifact[standard_artifacts.ExampleStatistics],
    schema: InputArtifact[standard_artifacts.Schema],
    report: InputArtifact[IngestReport],
    check: OutputArtifact[DataCheck],
    on_anomalies: Parameter[str],
    reviewed: Parameter[int],
    code: Parameter[str],
) -> None:
    """Writes `data_check.json`, and fails where `on_anomalies` is `fail` and there are any.

    Raises:
      RunError: with the table of anomalies and what to do.
    """
    del code, report  # the one is read by the cache alone; the other orders the gate behind its checks of leakage
    rules = text_format.Parse((Path(schema.uri) / "schema.pbtxt").read_text(encoding="utf-8"), schema_pb2.Schema())
    rows = list(_rows(anomalies, statistics, rules))
    passed = not rows or on_anomalies == "warn"
    result = GateResult(passed=passed, reviewed=bool(reviewed), anomalies=rows)
    folder = Path(check.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data_check.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
    if not passed:
        raise RunError(
            f"the data is not as its schema says\n{table(rows)}\n"
            "Correct the data; or, where the data is right, edit the schema, or accept a new draft with `tfx-retail schema CONFIG "
            "--accept`; or let it pass with data.on_anomalies: warn"
        )


def table(rows: list[Anomaly]) -> str:
    """Returns the anomalies as aligned columns."""
    cells = [("feature", "split", "found", "allowed", "how many")]
    cells += [(row.feature, row.split, row.found, row.allowed, row.how_many) for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)


def _rows(anomalies: Any, statistics: Any, schema: Any) -> Iterator[Anomaly]:
    rules = {feature.name: feature for feature in schema.feature}
    for split in artifact_utils.decode_split_names(anomalies.split_names):
        found = anomalies_pb2.Anomalies.FromString(_of_split(anomalies, split, ANOMALIES_FILE))
        counted = statistics_pb2.DatasetFeatureStatisticsList.FromString(_of_split(statistics, split, STATISTICS_FILE))
        seen = {item.path.step[0]: item for item in counted.datasets[0].features}
        for name, info in sorted(found.anomaly_info.items()):
            yield _row(name, split, info, rules.get(name), seen.get(name))
        if found.HasField("dataset_anomaly_info"):
            yield Anomaly(feature="(all)", split=split, found=found.dataset_anomaly_info.description, allowed="", how_many="")


def _of_split(artifact: Any, split: str, name: str) -> bytes:
    return (Path(artifact_utils.get_split_uri([artifact], split)) / name).read_bytes()


def _row(name: str, split: str, info: Any, rule: Any, seen: Any) -> Anomaly:
    if rule is None:
        return Anomaly(feature=name, split=split, found="a feature that the schema lacks", allowed="none", how_many=_present(seen))
    if seen is None or not _count(seen):
        return Anomaly(feature=name, split=split, found="no value at all", allowed="in every crop", how_many="all")
    if seen.HasField("num_stats") and _range(rule) is not None:
        low, high = _range(rule) or (0.0, 0.0)
        numbers = seen.num_stats
        if numbers.min < low or numbers.max > high:
            outside = _outside(numbers, low, high)
            return Anomaly(
                feature=name, split=split, found=f"{numbers.min:g} to {numbers.max:g}", allowed=f"{low:g} to {high:g}", how_many=outside
            )
    missing = _common(seen).num_missing
    if missing and rule.presence.min_fraction == 1:
        return Anomaly(feature=name, split=split, found="missing", allowed="in every crop", how_many=f"{missing:,}")
    return Anomaly(feature=name, split=split, found=info.description, allowed=_domain(rule), how_many=_present(seen))


def _common(seen: Any) -> Any:
    return getattr(seen, seen.WhichOneof("stats")).common_stats


def _count(seen: Any) -> int:
    return int(_common(seen).num_non_missing)


def _present(seen: Any) -> str:
    return f"{_count(seen):,}" if seen is not None else "0"


def _range(rule: Any) -> tuple[float, float] | None:
    kind = rule.WhichOneof("domain_info")
    if kind not in ("int_domain", "float_domain"):
        return None
    domain = getattr(rule, kind)
    low = domain.min if domain.HasField("min") else float("-inf")
    high = domain.max if domain.HasField("max") else float("inf")
    return float(low), float(high)


def _domain(rule: Any) -> str:
    return f"the values of {rule.domain}" if rule.domain else "see the schema"


def _outside(numbers: Any, low: float, high: float) -> str:
    """Statistics hold no values but a histogram: buckets that lie outside are counted whole, the one across the edge in part."""
    total = 0.0
    for bucket in numbers.histograms[0].buckets if numbers.histograms else ():
        width = bucket.high_value - bucket.low_value
        inside = max(min(bucket.high_value, high) - max(bucket.low_value, low), 0.0)
        within = low <= bucket.low_value <= high if width == 0 else inside / width
        total += bucket.sample_count * (1 - float(within))
    return f"about {max(round(total), 1):,}"

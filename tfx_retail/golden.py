"""Golden images: what a model answered when it was made, kept beside it, and whether it still answers so."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tfx_retail import acceptance, answers, decisions, evaluation, features, signatures
from tfx_retail.acceptance import Usual
from tfx_retail.size_model import SizeModel
from tfx_retail.versions import EXTRA

TOLERANCE = 1e-4
NOT_AN_IMAGE = b"this is not an image"
_FILE = "golden.json"

Answers = Mapping[str, Mapping[str, npt.NDArray[Any]]]


def write(model_dir: Path, model: Any, images: Sequence[bytes], height_mm: Sequence[float], width_mm: Sequence[float]) -> None:
    """Writes images, and text that is none, with the answers of every signature into the model's folder.

    Args:
      model: what `serving.export` returned: the answers come from the trainer's own weights, not from the files to be checked.
      height_mm: measured heights, NaN where unknown. The same for the width.
    """
    folder = _folder(model_dir)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:02d}.{_ending(image)}" for number, image in enumerate([*images, NOT_AN_IMAGE])]
    for name, image in zip(names, [*images, NOT_AN_IMAGE], strict=True):
        (folder / name).write_bytes(image)
    kept = {
        "images": names,
        "height_mm": [_or_none(size) for size in [*height_mm, math.nan]],
        "width_mm": [_or_none(size) for size in [*width_mm, math.nan]],
    }
    said = {
        signature: {name: _plain(value.numpy()) for name, value in getattr(model, signature)(*_inputs(folder, kept, signature)).items()}
        for signature in signatures.SIGNATURES
    }
    text = json.dumps(kept | {"answers": said}, ensure_ascii=False, allow_nan=False)
    (folder / _FILE).write_text(text + "\n", encoding="utf-8")


def check(model_dir: Path) -> list[str]:
    """Returns how the model in a folder differs from its golden answers, a line each; none where it answers the same.

    Scores may differ by 1e-4, and strings where the scores behind them are that close.
    """
    folder = _folder(model_dir)
    if not (folder / _FILE).is_file():
        return [f"{folder / _FILE}: is missing; the model was not exported by this package, or its folder is not whole"]
    kept = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    model = signatures.load(model_dir)
    found = sorted(model.signatures)
    if found != sorted(signatures.SIGNATURES):
        return [f"signatures: {', '.join(found)}; expected {', '.join(sorted(signatures.SIGNATURES))}"]
    now = {name: _asked(model, name, _inputs(folder, kept, name)) for name in signatures.SIGNATURES}
    return differences(_arrays(kept["answers"]), now, _close_calls(model_dir, kept, _arrays(kept["answers"])))


class CloseCalls(NamedTuple):
    """Of which of N images rounding decides strings and flags."""

    decided: npt.NDArray[np.bool_]  # [N], any of them
    ranked: npt.NDArray[np.bool_]  # [N], the order of `top_skus` after the first


def differences(expected: Answers, found: Answers, close_calls: CloseCalls) -> list[str]:
    """Returns a line for each output that differs, rounding aside."""
    lines: list[str] = []
    for signature, outputs in expected.items():
        if sorted(outputs) != sorted(found[signature]):
            lines.append(f"{signature}: outputs {', '.join(sorted(found[signature]))}; expected {', '.join(sorted(outputs))}")
            continue
        for name, before in outputs.items():
            excused = close_calls.decided | close_calls.ranked if name == "top_skus" else close_calls.decided
            lines += _output_differences(f"{signature}: {name}", before, found[signature][name], excused)
    return lines


def _output_differences(where: str, before: npt.NDArray[Any], now: npt.NDArray[Any], excused: npt.NDArray[np.bool_]) -> list[str]:
    if before.shape != now.shape:
        return [f"{where}: shape {now.shape}, expected {before.shape}"]
    if before.dtype.kind == "f":
        gap = float(np.abs(before - now).max(initial=0.0))
        return [] if gap <= TOLERANCE else [f"{where}: differs by {gap:.2g}, allowed {TOLERANCE:g}"]
    differs = (before != now).reshape(len(before), -1).any(axis=1) & ~excused
    return [f"{where}: image {row}: {now[row]}, expected {before[row]}" for row in np.flatnonzero(differs)]


def _close_calls(model_dir: Path, kept: Mapping[str, Any], said: Answers) -> CloseCalls:
    """Tells of each image whether two scores, a score and a threshold, or a size and its limit lie so close that rounding decides."""
    facts = json.loads((model_dir / EXTRA / "model.json").read_text(encoding="utf-8"))
    families = np.sort(said["predict_all"]["family_scores"], axis=1)[:, -2:]
    gaps, ranks = [np.diff(families, axis=1)], []
    for signature in features.SIGNATURES:
        ranked = np.diff(said[signature]["top_scores"], axis=1)
        ranks.append(ranked)
        gaps += [ranked[:, :1], *_from_thresholds(said[signature], facts["thresholds"][signature])]
    decided, order = ((np.abs(np.concatenate(parts, axis=1)) < TOLERANCE).any(axis=1) for parts in (gaps, ranks))
    return CloseCalls(decided | _sizes_at_a_limit(model_dir, facts, kept, said["predict_sized"]["sku"]), order)


def _from_thresholds(outputs: Mapping[str, npt.NDArray[Any]], limits: Mapping[str, Any]) -> list[npt.NDArray[Any]]:
    """Returns how far scores lie from what they are compared with, [N, 1] each."""
    above, family_above = (math.inf if limits[name] is None else limits[name] for name in ("accept_above", "family_accept_above"))
    known = acceptance.knownness(outputs["unknown_score"].astype(np.float64), Usual(**limits["usual"]))
    found = [outputs["family_confidence"] - family_above]
    for name in ("confidence", "look_confidence"):
        found += [factor * outputs[name] - limit for factor in (1.0, known) for limit in (above, decisions.LIKELY)]
    return [gap[:, None] for gap in found]


def _sizes_at_a_limit(model_dir: Path, facts: Mapping[str, Any], kept: Mapping[str, Any], skus: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Returns [N]: whether a size that is a little smaller or larger would be judged differently."""
    lists, model = evaluation.lists_of(model_dir), msgspec.convert(facts["size_model"], SizeModel)
    place = {sku: index for index, sku in enumerate(lists.skus)}
    sku = np.array([place[name] for name in skus], np.int64)
    allowed = (lists.look_of_sku == lists.look_of_sku[sku][:, None]) & lists.active
    height, width = _sizes(kept)
    small, large = (
        decisions.size_problem(sku, allowed, answers.evidence(near * height, near * width, lists, model)).numpy()
        for near in (np.float32(1 - TOLERANCE), np.float32(1 + TOLERANCE))
    )
    return np.asarray(small != large, bool)


def _inputs(folder: Path, kept: Mapping[str, Any], signature: str) -> list[Any]:
    images = [(folder / name).read_bytes() for name in kept["images"]]
    inputs = signatures.requests(images, *_sizes(kept))
    return [inputs[name] for name in signatures.SIGNATURES[signature]]


def _sizes(kept: Mapping[str, Any]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    height, width = (
        np.array([math.nan if size is None else size for size in kept[name]], np.float32) for name in ("height_mm", "width_mm")
    )
    return height, width


def _asked(model: Any, signature: str, inputs: Sequence[Any]) -> dict[str, npt.NDArray[Any]]:
    named = dict(zip(signatures.SIGNATURES[signature], inputs, strict=True))
    return {name: _text(value.numpy()) for name, value in model.signatures[signature](**named).items()}


def _arrays(said: Mapping[str, Mapping[str, Any]]) -> Answers:
    return {signature: {name: np.array(value) for name, value in outputs.items()} for signature, outputs in said.items()}


def _plain(values: npt.NDArray[Any]) -> Any:
    return _text(values).tolist()


def _text(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.char.decode(values.astype(bytes), "utf-8") if values.dtype == object else values


def _or_none(size: float) -> float | None:
    return float(size) if math.isfinite(size) else None


def _ending(image: bytes) -> str:
    return "jpg" if image.startswith(b"\xff\xd8") else "png" if image.startswith(b"\x89PNG") else "txt"


def _folder(model_dir: Path) -> Path:
    return model_dir / EXTRA / "golden"

"""The metrics of the contract's answers, as one TFMA metric.

TFMA's own would score the argmax of the scores, which is not what the signatures answer, and would binarise thousands of classes.
Here each crop is reduced to a few numbers before the slices fan out, and one combiner adds them up.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.metrics import metric_types

from tfx_retail.evaluation import LEVELS, macro_f1
from tfx_retail.prediction_files import DECIDED, IN_TOP, TRUTH

ACCURACIES = tuple(f"{level}_accuracy" for level in LEVELS)
METRICS = (*ACCURACIES, "top_k_accuracy", "macro_f1", "log_loss")
EXAMPLES = "examples"
CLASS_COUNTS = "class_counts"  # [C, 4]: label, examples, times answered, times answered rightly
_LOSS_UNITS = 2**40  # in a loss of 1: whole numbers add up to the same sum in whatever order an engine adds them
_SMALLEST = 1e-7  # a score of 0 for the truth would make the mean infinite; Keras clips there too


class Outcome(NamedTuple):
    """One crop, as far as the metrics care."""

    label: int
    answer: int
    right: tuple[bool, ...]  # of LEVELS
    in_top: int
    loss: float


class AnswerMetrics(metric_types.Metric):
    """Accuracy of SKU, look, family and category, top-k accuracy, macro F1, log loss and counts by class."""

    def __init__(self, name: str = "answer_metrics") -> None:
        super().__init__(_computations, name=name)


metric_types.register_metric(AnswerMetrics)


def _computations(name: str, model_names: list[str] | None = None) -> metric_types.MetricComputations:
    del name  # the keys below are the names
    return [
        metric_types.MetricComputation(
            keys=[metric_types.MetricKey(key, model_name=model) for key in (*METRICS, EXAMPLES, CLASS_COUNTS)],
            preprocessors=[_ToOutcome(model)],
            combiner=_AddUp(model),
        )
        for model in model_names or [""]
    ]


class _ToOutcome(metric_types.Preprocessor):
    """Reduces an extract to an Outcome, so that score vectors go no further. A model's name is that of its signature."""

    def __init__(self, model: str) -> None:
        super().__init__(name=f"outcome_of_{model}", model=model)
        self._model = model

    def process(self, extracts: dict[str, Any]) -> Iterator[Outcome]:
        features = extracts[constants.FEATURES_KEY]
        truth = features[TRUTH].ravel().tolist()
        decided = features[f"{self._model}/{DECIDED}"].ravel().tolist()
        label = int(_of_model(extracts[constants.LABELS_KEY], self._model).item())
        score = float(_of_model(extracts[constants.PREDICTIONS_KEY], self._model).ravel()[label])
        yield Outcome(
            label=label,
            answer=decided[0],
            right=tuple(answer == true for answer, true in zip(decided, truth, strict=True)),
            in_top=int(features[f"{self._model}/{IN_TOP}"].item()),
            loss=-math.log(max(score, _SMALLEST)),
        )


def _of_model(values: Any, model: str) -> Any:
    """TFMA keys values by model only where the models differ in them."""
    return values[model] if isinstance(values, dict) else values


class _Sums:
    """What adds up over crops."""

    def __init__(self) -> None:
        self.examples = 0
        self.right = [0] * len(LEVELS)
        self.in_top = 0
        self.loss = 0  # in _LOSS_UNITS
        self.classes: defaultdict[int, list[int]] = defaultdict(_no_counts)

    def add(self, outcome: Outcome) -> None:
        self.examples += 1
        for level, right in enumerate(outcome.right):
            self.right[level] += right
        self.in_top += outcome.in_top
        self.loss += round(outcome.loss * _LOSS_UNITS)
        self.classes[outcome.label][0] += 1
        self.classes[outcome.answer][1] += 1
        self.classes[outcome.label][2] += outcome.label == outcome.answer

    def merge(self, other: "_Sums") -> None:
        self.examples += other.examples
        self.right = [mine + theirs for mine, theirs in zip(self.right, other.right, strict=True)]
        self.in_top += other.in_top
        self.loss += other.loss
        for label, counts in other.classes.items():
            self.classes[label] = [mine + theirs for mine, theirs in zip(self.classes[label], counts, strict=True)]


def _no_counts() -> list[int]:
    return [0, 0, 0]


class _AddUp(beam.CombineFn):
    """Adds outcomes up and divides at the end."""

    def __init__(self, model: str) -> None:
        self._model = model

    def create_accumulator(self) -> _Sums:
        return _Sums()

    def add_input(self, accumulator: _Sums, element: Outcome) -> _Sums:
        accumulator.add(element)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[_Sums]) -> _Sums:
        total = _Sums()
        for accumulator in accumulators:
            total.merge(accumulator)
        return total

    def extract_output(self, accumulator: _Sums) -> dict[metric_types.MetricKey, Any]:
        n = accumulator.examples or math.nan
        counts = {label: (row[0], row[1], row[2]) for label, row in sorted(accumulator.classes.items())}
        values: dict[str, Any] = {name: right / n for name, right in zip(ACCURACIES, accumulator.right, strict=True)}
        values["top_k_accuracy"] = accumulator.in_top / n
        values["macro_f1"] = macro_f1(counts)
        values["log_loss"] = accumulator.loss / _LOSS_UNITS / n
        values[EXAMPLES] = float(accumulator.examples)
        values[CLASS_COUNTS] = np.array([[label, *row] for label, row in counts.items()], np.float64).reshape(-1, 4)
        return {metric_types.MetricKey(name, model_name=self._model): value for name, value in values.items()}

"""The artifact types that TFX lacks."""

from tfx.types.artifact import Artifact

# The property of ModelBlessing, as TFX's Evaluator writes it and its Pusher reads it; the names stand in tfx.components, whose package
# loads TensorFlow and all that TFX has.
BLESSED = "blessed"
STATISTICS_FILE = "FeatureStats.pb"  # where TFX's nodes look for a split's statistics


class IngestReport(Artifact):
    """`rejected.csv`, `set_aside.csv`, `leakage.csv` and `ingest.json` (counts) of one ExampleGen."""

    TYPE_NAME = "RetailIngestReport"


class Labels(Artifact):
    """`labels.csv`: the index of every SKU, for ever; `catalog.csv`: the catalogue that it was made from."""

    TYPE_NAME = "RetailLabels"


class DataCheck(Artifact):
    """`data_check.json`: what the data gate found and decided."""

    TYPE_NAME = "RetailDataCheck"


class Predictions(Artifact):
    """Answers of the candidate and the baseline, `Split-<role>/*.tfrecord`, and `predictions.json`."""

    TYPE_NAME = "RetailPredictions"


class Sibling(Artifact):
    """`sibling.json`: figures of a model that was trained without some SKUs; `evidence.npz`: what it says of crops of these."""

    TYPE_NAME = "RetailSibling"


class InfraCheck(Artifact):
    """`infra_check.json`: whether a fresh process gets the trainer's answers from the exported model."""

    TYPE_NAME = "RetailInfraCheck"


class Verdict(Artifact):
    """`verdict.json`: every rule with its value, threshold and result."""

    TYPE_NAME = "RetailVerdict"


class ModelCard(Artifact):
    """`model_card.md`."""

    TYPE_NAME = "RetailModelCard"

"""One YAML file as a frozen, checked value: what a pipeline reads, trains, demands and pushes.

Every path is relative to the folder of the YAML file. Each field carries its description; `docs/config.md` is made from them.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tfx_retail.engines import BeamConfig
from tfx_retail.section import Section

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Role = Literal["train", "validation", "calibration", "eval"]
Signature = Literal["serving_default", "predict_sized"]


class CatalogConfig(Section, frozen=True):
    """The product catalogue."""

    path: Annotated[str, Meta(description="the catalogue file")]
    format: Annotated[
        Literal["csv", "grocery_store"],
        Meta(description="`csv`: columns as in the data contract; `grocery_store`: that data set's classes.csv"),
    ] = "csv"


class SampleConfig(Section, frozen=True):
    """Sample data to draw when `data.path` does not exist yet."""

    photos: Annotated[int, Meta(ge=1, description="shelf photos to draw")]
    skus: Annotated[int, Meta(ge=12, description="products in the catalogue")] = 14
    seed: Annotated[int, Meta(ge=0, description="same seed, same bytes")] = 1


class Manifest(Section, frozen=True):
    """One list of photos or boxes, a row each."""

    path: Annotated[str, Meta(description="CSV file, relative to `data.path`")]
    split: Annotated[Role | None, Meta(description="the role of all its rows, for `split.by: given`")] = None
    columns: Annotated[tuple[str, ...], Meta(description="names of the columns where the file has no header row; `_` skips one")] = ()


class DataConfig(Section, frozen=True):
    """Where the labelled photos are, how they are read, and how much may be wrong with them."""

    path: Annotated[str, Meta(description="root folder of the data; a path that climbs out of it is refused")]
    format: Annotated[Literal["image_folder", "voc", "coco", "manifest", "tfrecord", "idx"], Meta(description="how the data is laid out")]
    label_map: Annotated[str | None, Meta(description="CSV `label,sku[,face]`; reserved targets gap, unknown, other_brand, ignore")] = None
    photo_facts: Annotated[
        str | None, Meta(description="CSV below `data.path`: `photo` and any of store, taken_at, group, mm_per_px, source")
    ] = None
    packshots: Annotated[
        Literal["none", "train"],
        Meta(description="`train`: the catalogue's `reference_images` are photos of the train role too, and of no other"),
    ] = "none"
    packshot_path: Annotated[str | None, Meta(description="folder that `reference_images` are relative to; default `data.path`")] = None
    label_column: Annotated[str, Meta(description="catalogue column that the annotations' labels name (say `gtin`)")] = "sku"
    manifests: Annotated[tuple[Manifest, ...], Meta(description="for `format: manifest`")] = ()
    lists: Annotated[
        dict[Role, str],
        Meta(description="for voc, coco and image_folder: files of photo ids or paths, one role each, for `split.by: given`"),
    ] = msgspec.field(default_factory=dict)
    idx_files: Annotated[dict[Role, tuple[str, str]], Meta(description="for `format: idx`: (images, labels) of each given role")] = (
        msgspec.field(default_factory=dict)
    )
    coco_file: Annotated[str, Meta(description="for `format: coco`: the annotation file below `data.path`")] = "annotations.json"
    voc_origin: Annotated[
        Literal[0, 1], Meta(description="first pixel's number in VOC boxes: 0 as labelImg writes, 1 as the original PASCAL")
    ] = 0
    crop_context: Annotated[
        float, Meta(ge=0.0, le=1.0, description="margin added on each side of a box, as a share of its width and height")
    ] = 0.0
    min_box_px: Annotated[int, Meta(ge=1, description="boxes with a shorter side are rejected")] = 8
    max_image_px: Annotated[int, Meta(ge=1, description="photos with more pixels in their header are rejected undecoded")] = 50_000_000
    duplicate_iou: Annotated[float, Meta(gt=0.0, le=1.0, description="boxes of one SKU over this IoU are one product boxed twice")] = 0.9
    max_rejected: Annotated[int, Meta(ge=0, description="rejected files and rows that a run may go on with")] = 0
    min_class_records: Annotated[int, Meta(ge=0, description="SKUs with fewer crops in train are named in a warning")] = 2
    near_duplicate_bits: Annotated[
        int, Meta(ge=0, le=64, description="photos whose 64-bit difference hashes differ in at most so many bits are near-duplicates")
    ] = 4
    on_leakage: Annotated[Literal["fail", "warn"], Meta(description="near-duplicate photos across splits")] = "warn"
    on_anomalies: Annotated[Literal["fail", "warn"], Meta(description="statistics that break the schema")] = "fail"
    schema: Annotated[str | None, Meta(description="the reviewed schema; default `../schema/<name>/schema.pbtxt`")] = None
    sample: SampleConfig | None = None


class SplitConfig(Section, frozen=True):
    """Who trains, stops, calibrates and judges. The unit is never the crop."""

    by: Annotated[
        Literal["photo", "group", "store", "time", "given"],
        Meta(description="unit of the split; `group`: scenes of near-duplicate photos, or the data's own group column"),
    ] = "group"
    shares: Annotated[dict[Role, Share], Meta(description="share of photos for each role, as near as whole units allow")] = msgspec.field(
        default_factory=lambda: {"train": 0.7, "validation": 0.1, "calibration": 0.1, "eval": 0.1}
    )
    carve: Annotated[
        dict[Role, Share], Meta(description="for `given`: roles that the lists lack, as shares of train's photos, in whole scenes")
    ] = msgspec.field(default_factory=dict)
    scene_bits: Annotated[int, Meta(ge=0, le=64, description="photos within so many bits of a 64-bit difference hash are one scene")] = 10
    scene_color: Annotated[
        float,
        Meta(ge=0.0, le=2.0, description="photos of one SKU whose colour histograms lie closer (L1) are one scene; 0 turns it off"),
    ] = 0.0
    seed: Annotated[int, Meta(ge=0, description="seed of the hash that orders the units")] = 1


class ModelConfig(Section, frozen=True):
    """The network."""

    backbone: Annotated[str, Meta(description="`compact`, or a network of keras.applications, say `EfficientNetV2B0`")] = "compact"
    weights: Annotated[str, Meta(description="`none`, `imagenet`, or a weights file")] = "none"
    image_size: Annotated[int, Meta(ge=16, le=1024, description="side in pixels of the square that the network sees")] = 96
    width: Annotated[int, Meta(ge=8, description="channels of the compact network's first stage")] = 32
    blocks: Annotated[tuple[int, ...], Meta(min_length=1, description="residual blocks of each stage")] = (2, 2, 2, 2)
    heads: Annotated[
        Literal["family", "flat"],
        Meta(description="`family`: one head tells the family, another the look within it; `flat`: one softmax over all looks"),
    ] = "family"
    squeeze: Annotated[bool, Meta(description="channels of the compact network's blocks are weighed by what the whole image shows")] = False
    embedding_dim: Annotated[int, Meta(ge=2, description="length of the vector that `embed` returns")] = 128
    dropout: Annotated[Share, Meta(description="dropped share of the last features in training")] = 0.2


class AugmentConfig(Section, frozen=True):
    """Random changes of training images; 0 or false turns one off."""

    flip: Annotated[bool, Meta(description="mirror left and right")] = False
    min_area: Annotated[float, Meta(gt=0.0, le=1.0, description="smallest share of the image that a random crop keeps")] = 0.6
    max_aspect: Annotated[float, Meta(ge=1.0, le=4.0, description="strongest stretch of a random crop")] = 1.2
    rotate_deg: Annotated[float, Meta(ge=0.0, le=180.0, description="largest turn")] = 5.0
    brightness: Annotated[float, Meta(ge=0.0, le=1.0, description="largest shift of [0, 1] values")] = 0.15
    contrast: Annotated[float, Meta(ge=0.0, lt=1.0, description="contrast is scaled by 1 +- this")] = 0.2
    saturation: Annotated[float, Meta(ge=0.0, lt=1.0, description="saturation is scaled by 1 +- this")] = 0.2
    hue: Annotated[float, Meta(ge=0.0, le=0.5, description="largest turn of the colour circle, as a share of it")] = 0.0
    white_balance: Annotated[
        float,
        Meta(ge=0.0, le=1.0, description="red, green and blue are each scaled by up to e^this: light and cameras differ between shops"),
    ] = 0.0
    erase: Annotated[Share, Meta(description="probability of blanking a random rectangle")] = 0.0
    mixup: Annotated[float, Meta(ge=0.0, description="alpha of mixup's Beta distribution")] = 0.0
    cutmix: Annotated[Share, Meta(description="share of images that get a rectangle of another one instead of being blended with it")] = 0.0


class TrainConfig(Section, frozen=True):
    """How the network is fitted."""

    epochs: Annotated[int, Meta(ge=1, description="passes over the train split, at most")] = 30
    max_steps: Annotated[int, Meta(ge=0, description="stop after so many steps; 0: no limit")] = 0
    batch_size: Annotated[int, Meta(ge=1, description="crops a step, over all replicas")] = 64
    small_size: Annotated[
        int, Meta(ge=0, description="side in pixels in the first part of training, which is quicker so; 0: `model.image_size` throughout")
    ] = 0
    small_share: Annotated[Share, Meta(description="share of the epochs in that part")] = 0.6
    optimizer: Annotated[Literal["adamw", "sgd"], Meta(description="sgd has Nesterov momentum 0.9")] = "adamw"
    learning_rate: Annotated[float, Meta(gt=0.0, description="the highest rate")] = 0.002
    schedule: Annotated[Literal["cosine", "constant"], Meta(description="how the rate falls after the warm-up")] = "cosine"
    warmup_epochs: Annotated[float, Meta(ge=0.0, description="epochs in which the rate rises from 0")] = 1.0
    weight_decay: Annotated[float, Meta(ge=0.0, description="decoupled, on kernels only")] = 0.02
    clip_norm: Annotated[float, Meta(ge=0.0, description="largest global norm of a gradient; 0: no limit")] = 1.0
    label_smoothing: Annotated[float, Meta(ge=0.0, lt=1.0, description="share of the target spread over all SKUs")] = 0.1
    ema: Annotated[float, Meta(ge=0.0, lt=1.0, description="momentum of the weights' moving average that is exported; 0: off")] = 0.0
    mixed_precision: Annotated[
        bool,
        Meta(description="half-precision arithmetic where it is faster: float16 on a GPU, bfloat16 on a CPU with AVX512_BF16 or AMX"),
    ] = True
    embedding_loss: Annotated[
        Literal["none", "supcon", "triplet"],
        Meta(
            description="a loss on embeddings beside the classifier's: supervised contrastive, or triplets with batch-hard mining; "
            "it takes effect where a batch holds several crops of a look"
        ),
    ] = "none"
    embedding_weight: Annotated[float, Meta(gt=0.0, description="weight of that loss; the classifier's is 1")] = 0.5
    embedding_temperature: Annotated[float, Meta(gt=0.0, le=1.0, description="what cosines are divided by in that loss")] = 0.1
    class_balance: Annotated[Literal["none", "loss"], Meta(description="`loss`: each SKU weighs the same, up to the limit")] = "none"
    class_balance_limit: Annotated[float, Meta(ge=1.0, description="largest weight of a SKU relative to the mean")] = 10.0
    early_stopping_epochs: Annotated[
        int, Meta(ge=0, description="epochs without a better validation loss before training stops; 0: never")
    ] = 10
    checkpoint_epochs: Annotated[int, Meta(ge=1, description="epochs between two checkpoints")] = 1
    strategy: Annotated[
        Literal["none", "mirrored", "multi_worker"],
        Meta(
            description="`mirrored`: on all GPUs of this machine; `multi_worker`: by several processes, on several machines or on this one"
        ),
    ] = "none"
    workers: Annotated[
        int,
        Meta(ge=1, description="processes of `multi_worker`, on the machines that the environment's TF_CONFIG names, else all on this one"),
    ] = 1
    seed: Annotated[int, Meta(ge=0, description="seed of weights, order and augmentation")] = 1
    augment: AugmentConfig = AugmentConfig()


class ServingConfig(Section, frozen=True):
    """What the pushed model says of itself."""

    dir: Annotated[str, Meta(description="model folder; versions lie in <dir>/<name>/<version>")]
    accept_above: Annotated[
        Share | None,
        Meta(description="a score from which on a SKU is `accepted`, promising nothing; none: as `abstain` promises, by calibration"),
    ] = None
    family_accept_above: Annotated[Share | None, Meta(description="the same for `family_accepted` and the family's confidence")] = None
    prior: Annotated[
        Literal["train", "uniform", "file"],
        Meta(
            description="how often each SKU is expected in the shops: as in the train split, each alike, or as `prior_file` says; "
            "whatever class balancing did to the training is undone"
        ),
    ] = "train"
    prior_file: Annotated[str | None, Meta(description="CSV `sku,weight` for `prior: file`: how often each SKU is expected, over 0")] = None

    def __post_init__(self) -> None:
        if (self.prior == "file") != (self.prior_file is not None):
            raise ValueError(f"prior_file: goes with prior: file, and prior is {self.prior}")


class CalibrationConfig(Section, frozen=True):
    """How confidences are brought in line with the share of right answers, on the calibration role."""

    share: Annotated[
        float,
        Meta(gt=0.0, lt=1.0, description="share of the groups that temperatures are fitted on; on the others `accepted` is found"),
    ] = 0.3
    seed: Annotated[int, Meta(ge=0, description="seed of the hash that deals the groups, and of the draw of one crop from each")] = 1


class AbstainConfig(Section, frozen=True):
    """What `accepted` promises: a precision among accepted answers, for data like the calibration role."""

    precision: Annotated[float, Meta(gt=0.0, lt=1.0, description="share of right answers among the accepted, at least")] = 0.98
    delta: Annotated[float, Meta(gt=0.0, lt=1.0, description="how likely it may be that the promise is not kept")] = 0.05
    unknown_rate: Annotated[
        float,
        Meta(
            ge=0.0, lt=1.0, description="share of crops in the shops that show a product the model does not know; accepting one is an error"
        ),
    ] = 0.0


class UnknownsConfig(Section, frozen=True):
    """A sibling of the model, trained without some SKUs, that measures how products are told that the model does not know.

    It costs one more training. The pushed model knows all SKUs.
    """

    hold_out: Annotated[
        float,
        Meta(ge=0.0, le=0.5, description="share of the SKUs, in whole looks, that the sibling is not taught; 0: no sibling"),
    ] = 0.0
    seed: Annotated[int, Meta(ge=0, description="seed of the hash that chooses them")] = 1
    epochs: Annotated[int, Meta(ge=0, description="passes of the sibling over the train split, at most; 0: as the model")] = 0


class PretrainConfig(Section, frozen=True):
    """A trunk that learns from unlabelled crops before the classifier is trained. It costs a training of its own."""

    path: Annotated[str, Meta(description="folder of crops, however nested: one facing each, labels are not looked at")]
    method: Annotated[Literal["simclr"], Meta(description="two random changes of a crop are to be told from those of all others")] = (
        "simclr"
    )
    epochs: Annotated[int, Meta(ge=1, description="passes over the crops")] = 50
    batch_size: Annotated[int, Meta(ge=2, description="crops a step, each twice: the more, the more there is to tell apart")] = 128
    learning_rate: Annotated[float, Meta(gt=0.0, description="the highest rate")] = 0.002
    temperature: Annotated[float, Meta(gt=0.0, le=1.0, description="what cosines are divided by")] = 0.2


class TuneConfig(Section, frozen=True):
    """A search for settings of the training by short ones; the Trainer then takes the best, and `tuned.yaml` keeps them."""

    space: Annotated[
        dict[str, tuple[Any, ...]],
        Meta(min_length=1, description="values to try of settings of `model` and `train`: `train.learning_rate: [0.001, 0.002]`"),
    ]
    trials: Annotated[int, Meta(ge=1, description="combinations that are tried, at random")] = 8
    epochs: Annotated[int, Meta(ge=1, description="passes over the train split in each trial")] = 10
    seed: Annotated[int, Meta(ge=0, description="seed of the search")] = 1


class Rule(Section, frozen=True):
    """One condition of the blessing: a metric on the eval role has to reach a value."""

    metric: Annotated[
        Literal[
            "sku_accuracy",
            "look_accuracy",
            "family_accuracy",
            "category_accuracy",
            "top_k_accuracy",
            "macro_f1",
            "log_loss",
            "brier",
            "ece",
            "coverage",
            "accepted_precision",
        ],
        Meta(
            description="what is measured; `ece`: calibration error, which fails only if it is proven to be over `at_most`, by 1,000 crops "
            "or more: with fewer, give log_loss and brier (Brier score) too; `coverage`: share of crops whose SKU is accepted; "
            "`accepted_precision`: share of right ones among these, which fails only if it is proven to be under `at_least`"
        ),
    ]
    signature: Annotated[Signature, Meta(description="which answers are measured")] = "serving_default"
    at_least: Annotated[float | None, Meta(description="the smallest value that will do; give this or `at_most`")] = None
    at_most: Annotated[float | None, Meta(description="the largest value that will do")] = None

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give exactly one of at_least and at_most")
        if (self.metric, self.at_most is None) in (("ece", True), ("accepted_precision", False)):
            raise ValueError(f"{self.metric}: goes with {'at_most' if self.metric == 'ece' else 'at_least'}")


class Gate(Section, frozen=True):
    """Slices in which the model may not lose more than the margin against an earlier one."""

    feature: Annotated[
        Literal["all", "category", "family", "brand", "look", "sku", "size_pairs", "top_facings", "store", "face", "source"],
        Meta(
            description="what makes the slices; `all`: one of all crops; `size_pairs`: one of the SKUs that share their look with another; "
            "`top_facings`: one of the SKUs with most crops in eval"
        ),
    ]
    value: Annotated[
        str | int | None, Meta(description="one value of the feature, not all; for `top_facings` the number of SKUs, 20 if not set")
    ] = None
    metric: Annotated[
        Literal["sku_accuracy", "look_accuracy", "family_accuracy", "category_accuracy"], Meta(description="what may not get worse")
    ] = "sku_accuracy"
    signature: Annotated[Signature, Meta(description="which answers are compared")] = "serving_default"

    def __post_init__(self) -> None:
        if self.feature == "top_facings" and not str(self.value or 20).isdecimal():
            raise ValueError(f"value: expected the number of SKUs, got {self.value!r}")


class VerdictConfig(Section, frozen=True):
    """What blesses a model."""

    rules: Annotated[tuple[Rule, ...], Meta(min_length=1, description="all have to hold")]
    min_examples: Annotated[int, Meta(ge=1, description="crops in eval below which nothing is blessed")] = 30
    margin: Annotated[
        float, Meta(ge=0.0, lt=1.0, description="largest loss of accuracy against an earlier model that a gating slice may have")
    ] = 0.05
    gating: Annotated[
        tuple[Gate, ...], Meta(description="slices that can refuse a model; name few: each one more makes a loss harder to prove")
    ] = (Gate(feature="all"), Gate(feature="category"))
    alpha: Annotated[
        float, Meta(gt=0.0, lt=1.0, description="how often a model that loses no more than the margin may be refused, all slices together")
    ] = 0.05
    reference: Annotated[
        int | None, Meta(description="a pushed version that is compared with too, so that small losses do not add up over versions")
    ] = None


class CardConfig(Section, frozen=True):
    """What the model card says that no program knows."""

    intended_use: Annotated[str, Meta(description="what the model is for, and for whom")] = (
        "Counting and naming facings on shelf photos, with answers under the threshold looked at by a person."
    )
    data_licence: Annotated[str, Meta(description="licence of the photos and labels, and whose they are")] = ""


class AirflowConfig(Section, frozen=True):
    """How Airflow runs the pipeline. `tfx-retail run` does not look at it, and no model depends on it."""

    schedule: Annotated[
        str | None, Meta(description="cron line or preset like `@daily`; `data`: when new photos have landed; none: only by hand")
    ] = None
    start: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="first day of the schedule, UTC")] = "2026-01-01"
    catchup: Annotated[bool, Meta(description="run for the time since the start, and for pauses, too")] = False
    max_active_runs: Annotated[int, Meta(ge=1, description="runs of this pipeline at a time")] = 1
    retries: Annotated[int, Meta(ge=0, description="further tries of a task that failed; wrong usage is not tried again")] = 2
    retry_delay_s: Annotated[int, Meta(ge=0, description="wait before the first retry; it doubles with each")] = 60
    timeout_min: Annotated[int, Meta(ge=0, description="longest time of a task; 0: no limit")] = 60
    heavy_timeout_min: Annotated[int, Meta(ge=0, description="longest time of a task that works on all photos; 0: no limit")] = 1440
    run_timeout_min: Annotated[int, Meta(ge=0, description="longest time of a run; 0: no limit")] = 0
    deadline_min: Annotated[int, Meta(ge=0, description="a run that takes longer is told of; 0: none is")] = 0
    heavy_pool: Annotated[str | None, Meta(description="Airflow pool of the tasks that work on all photos; none: the default pool")] = (
        "tfx_heavy"
    )
    priority: Annotated[int, Meta(ge=1, description="priority of the tasks over those of other DAGs")] = 1
    watch_min: Annotated[int, Meta(ge=1, description="for `schedule: data`: minutes between two looks at the data")] = 10
    settle_s: Annotated[int, Meta(ge=0, description="for `schedule: data`: how old the newest file has to be; copying may go on")] = 120


class Config(Section, frozen=True):
    """One pipeline."""

    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,62}$", description="the pipeline's and the model's name")]
    root: Annotated[str, Meta(description="folder of runs, metadata and checkpoints: <root>/<name>")]
    catalog: CatalogConfig
    data: DataConfig
    serving: ServingConfig
    verdict: VerdictConfig
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    abstain: AbstainConfig = AbstainConfig()
    unknowns: UnknownsConfig = UnknownsConfig()
    tune: Annotated[TuneConfig | None, Meta(description="none: the settings are as they stand here")] = None
    pretrain: Annotated[PretrainConfig | None, Meta(description="none: the classifier's trunk begins as `model.weights` says")] = None
    card: CardConfig = CardConfig()
    beam: BeamConfig = BeamConfig()
    airflow: AirflowConfig = AirflowConfig()
    cache: Annotated[bool, Meta(description="reuse the results of nodes whose code, config and inputs are the same")] = True

"""A compiled pipeline as one JSON file: all that a scheduler needs to know of it, and a digest that tells when it was changed by hand.

It holds the settings and the nodes' order, not what a run reads: data, catalogue and the served version are looked at when a run is
configured. So it can be made where the data is not, and read where TFX is not.
"""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tfx_retail import platforms
from tfx_retail.config import Config
from tfx_retail.digests import text_digest
from tfx_retail.errors import UserError

FORMAT = 1  # raised when the file's keys change their meaning
OF_RUN = "compiled.json"  # a run's own, in its folder
INTERMEDIATE = "pipeline.json"  # beside it, in TFX's own format, as a local run writes it
# nodes that more than the pipeline itself has to know
DATA_GATE, CALIBRATOR, INFRA_CHECK, VERDICT, PUSHER = "DataGate", "Calibrator", "InfraCheck", "Verdict", "Pusher"
PRETRAIN, TUNER, TRAINER, SIBLING = LEARNERS = ("Pretrain", "Tuner", "Trainer", "Sibling")  # these take long, and keep checkpoints
# their executors load neither TensorFlow nor Beam, so they start in a second or two
WITHOUT_TENSORFLOW = frozenset({DATA_GATE, "ImportSchemaGen", "Labels", VERDICT, "ModelCard", PUSHER})
# they wait for a process of their own, so a local run goes on with what does not need them
BESIDE = frozenset({INFRA_CHECK})
CONFIGURE, REPORT = "configure", "Report"  # the tasks of every run that are no nodes of TFX: the first and the last
CONFIGURE_AGAIN = f"clear the task `{CONFIGURE}` of this run"


class CompiledError(UserError):
    """A compiled pipeline cannot be used. The message says why and what to do."""


class Node(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One node of the pipeline."""

    name: str
    upstream: tuple[str, ...]
    tensorflow: bool  # whether it loads TensorFlow
    heavy: bool  # whether it works on all photos, for minutes: one of these at a time on a small machine


class Compiled(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The compiled pipeline; with a run id, the one of that run."""

    format: int
    package: str  # version of this package that compiled it
    config: Config
    nodes: tuple[Node, ...]  # in an order in which they can run
    run_id: str = ""
    tfx: str = ""  # version of TFX that wrote the run's `pipeline.json`
    ir_digest: str = ""  # of the run's `pipeline.json`, TFX's own format, beside this file
    digest: str = ""  # over all that stands above

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.config.name


def package_version() -> str:
    """Returns the installed version of this package; `unknown` where it runs without being installed."""
    try:
        return version("tfx-retail")
    except PackageNotFoundError:
        return "unknown"


def sealed(config: Config, nodes: tuple[Node, ...], *, run_id: str = "", ir_digest: str = "") -> Compiled:
    """Returns a compiled pipeline of this version of the package, with its digest."""
    tfx = platforms.tfx_version() if ir_digest else ""
    bare = Compiled(format=FORMAT, package=package_version(), config=config, nodes=nodes, run_id=run_id, tfx=tfx, ir_digest=ir_digest)
    return msgspec.structs.replace(bare, digest=_digest(msgspec.to_builtins(bare)))


def encode(compiled: Compiled) -> bytes:
    """Returns the file's content."""
    return msgspec.json.format(msgspec.json.encode(compiled), indent=1) + b"\n"


def read(path: Path, cure: str = "") -> Compiled:
    """Returns the compiled pipeline of a file.

    Args:
      cure: what messages say is to be done, if that is not to compile the configuration again.

    Raises:
      CompiledError: the file is missing, cut off, of another version of this package, of a run that another TFX began, or was changed since
        it was compiled.
    """
    cure = cure or f"compile it again: tfx-retail compile CONFIG -o {path}"
    tree = _tree(path, cure)
    made_by, installed = tree.get("package"), package_version()
    if tree.get("format") != FORMAT or made_by != installed:
        raise CompiledError(
            f"{path}: compiled by tfx-retail {made_by} (format {tree.get('format')}), but {installed} (format {FORMAT}) is installed here; "
            f"install the same version in both environments and {cure}"
        )
    begun_with, here = tree.get("tfx", ""), platforms.tfx_version()
    if begun_with not in ("", here) and here:
        raise CompiledError(
            f"{path}: this run began with TFX {begun_with}, but {here} is installed here; a run ends on the platform that began it: "
            f"let its tasks call the environment of TFX {begun_with}, or begin anew here: {cure}"
        )
    if tree.get("digest") != _digest(tree):
        raise CompiledError(f"{path}: was changed by hand since it was compiled; change the configuration and {cure}")
    try:
        return msgspec.convert(tree, Compiled)
    except msgspec.ValidationError as error:  # between two releases: the code moved on under the same version
        raise CompiledError(f"{path}: was compiled by other code than is installed here ({error}); {cure}") from None


def _tree(path: Path, cure: str) -> dict[str, Any]:
    try:
        tree = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise CompiledError(f"{path}: no such file; {cure}") from None
    except OSError as error:
        raise CompiledError(f"{path}: cannot be read: {error.strerror}; give this user the right to read it") from None
    except msgspec.DecodeError as error:
        raise CompiledError(f"{path}: is cut off or not JSON ({error}); {cure}") from None
    if not isinstance(tree, dict) or "nodes" not in tree:
        raise CompiledError(f"{path}: is not a compiled pipeline; {cure}")
    return tree


def _digest(tree: dict[str, Any]) -> str:
    """Of the file's own keys and values, whatever their order and the space between them."""
    return text_digest(msgspec.json.encode({**tree, "digest": ""}, order="sorted"))

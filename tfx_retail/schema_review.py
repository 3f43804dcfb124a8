"""`tfx-retail schema`: shows the schema of the latest run, and makes a draft the reviewed one."""

from pathlib import Path

from tfx_retail import inputs
from tfx_retail.config import Config
from tfx_retail.errors import RunError
from tfx_retail.runs import list_runs, write_atomically

SCHEMA_NODES = ("SchemaGen", "ImportSchemaGen")


def show(config: Config) -> str:
    """Returns the text of the schema in use, and whether it is reviewed."""
    reviewed = Path(config.data.schema or "")
    if reviewed.is_file():
        return f"# reviewed: {reviewed}\n{reviewed.read_text(encoding='utf-8')}"
    draft = _draft(config)
    return f"# draft, not reviewed: {draft}\n# make it the reviewed one with --accept\n{draft.read_text(encoding='utf-8')}"


def accept(config: Config) -> str:
    """Writes the latest draft as the reviewed schema, which later runs check against; returns what was done."""
    draft, target = _draft(config), Path(config.data.schema or "")
    before = target.read_bytes() if target.is_file() else None
    data = draft.read_bytes()
    if before == data:
        return f"{target} says the same already"
    write_atomically(target, data)
    return f"{'replaced' if before else 'wrote'} {target} from {draft}; later runs check their data against it"


def _draft(config: Config) -> Path:
    for run in reversed(list_runs(inputs.workspace(config))):
        for node in SCHEMA_NODES:
            folder = run.output(node, "schema")
            if folder:
                return folder / "schema.pbtxt"
    raise RunError(f"{inputs.workspace(config).root}: no run has made a schema yet; start one with `tfx-retail run CONFIG --to SchemaGen`")

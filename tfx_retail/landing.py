"""Whether new labelled photos have landed: what a scheduler asks before it starts a run."""

import time
from pathlib import Path
from typing import Any

from tfx_retail import catalog, compiled, inputs
from tfx_retail.ingest.digest import data_digest, newest_change
from tfx_retail.runs import list_runs


def landed(file: Path, *, settle_s: int, now: float | None = None) -> tuple[bool, dict[str, Any]]:
    """Returns whether the data is another than that of the latest run and has settled, and the facts in a few words.

    A run that failed on the same data is not started again by it: mend the cause and clear that run, or change the data.

    Args:
      settle_s: the newest file has to be so old, so that a copy under way is not taken for the whole.

    Raises:
      CompiledError: the compiled pipeline cannot be used.
      CatalogError, DataError: catalogue or data cannot be read.
    """
    known = compiled.read(file)
    data = known.config.data
    if not Path(data.path).is_dir():
        return False, {"why": f"{data.path} is not there yet"}
    changed = newest_change(data)
    if not changed:
        return False, {"why": f"{data.path}: no labelled photo yet"}
    age = (time.time() if now is None else now) - changed
    if age < settle_s:
        return False, {"why": f"files are still arriving: the newest is {max(age, 0):.0f} s old, wanted are {settle_s} s"}
    products = catalog.read(Path(known.config.catalog.path), known.config.catalog.format) if data.packshots != "none" else None
    digest = data_digest(data, products)
    runs = list_runs(inputs.workspace(known.config))
    if runs and runs[-1].data_digest == digest:
        return False, {"why": f"nothing new since run {runs[-1].run_id}"}
    return True, {"data": data.path, "digest": digest, "since": runs[-1].run_id if runs else None}

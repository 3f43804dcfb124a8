"""This package as the one file that travels to workers: whatever code submits a job is the code that does it."""

import gzip
import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tfx_retail import engines
from tfx_retail.config import Config
from tfx_retail.digests import text_digest
from tfx_retail.inputs import RunInputs, workspace
from tfx_retail.runs import write_atomically
from tfx_retail.worker import facts

_PACKAGE = Path(__file__).parent
_SETUP = """from setuptools import find_packages, setup

setup(name="tfx-retail", version="{version}", packages=find_packages(), package_data={{"tfx_retail": ["py.typed", "page/templates/*"]}})
"""


def beam_arguments(config: Config, inputs: RunInputs) -> list[str]:
    """Returns the arguments with which Beam does the work of a run where its profile says; keeps what travels to workers."""
    if config.beam.profile == "local":
        return list(config.beam.args)
    place = workspace(config)
    package = keep(place.inputs, [inputs.catalog, *_of_data(Path(config.data.path))])
    return engines.arguments(config.beam, package, str(place.root))


def _of_data(folder: Path) -> list[Path]:
    """Returns the folder of the data and the first file of it: a machine that has another one there sees another file, or none."""
    files = (Path(place, name) for place, _, names in os.walk(folder) for name in sorted(names))
    first = next(files, None)
    return [folder, *([first] if first else [])]


def keep(folder: Path, seen: Iterable[Path]) -> Path:
    """Returns the file, kept in `folder` under the name of its content.

    It is a source distribution, so that pip can install it where Beam does that, as on Dataflow; our worker pools unpack it. It names no
    dependencies: what workers need beside it is on them, or in their image.

    Args:
      folder: on the storage that workers share; each checks that the file itself is there.
      seen: further files and folders that workers have to see.
    """
    top = f"tfx-retail-{_version()}"
    inside = {f"{top}/{path.relative_to(_PACKAGE.parent)}": path.read_bytes() for path in _sources()}
    inside[f"{top}/setup.py"] = _SETUP.format(version=_version()).encode()
    inside[f"{top}/PKG-INFO"] = f"Metadata-Version: 2.1\nName: tfx-retail\nVersion: {_version()}\n".encode()
    inside[f"{top}/{facts.NAME}"] = facts.of_submitter(seen)
    digest = text_digest(*(part for name in sorted(inside) for part in (name, inside[name])))
    target = folder / f"{digest}-tfx-retail.tar.gz"
    if not target.is_file():
        write_atomically(target, _packed(inside))
    return target


def _sources() -> Iterator[Path]:
    return (path for path in sorted(_PACKAGE.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)


def _version() -> str:
    try:
        return version("tfx-retail")
    except PackageNotFoundError:
        return "0"


def _packed(inside: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as compressed, tarfile.open(fileobj=compressed, mode="w") as archive:
        for name in sorted(inside):
            member = tarfile.TarInfo(name)
            member.size = len(inside[name])
            archive.addfile(member, io.BytesIO(inside[name]))
    return packed.getvalue()

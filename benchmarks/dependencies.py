"""What each direct dependency weighs in this environment: its own files, what it brings along, and the time to import it.

python -m benchmarks.dependencies prints the numbers for docs/dependencies.md.
"""

import json
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
IMPORTED_AS = {
    "apache-beam": "apache_beam",
    "axe-playwright-python": "axe_playwright_python",
    "import-linter": "importlinter",
    "Pillow": "PIL.Image",
    "PyYAML": "yaml",
    "scikit-learn": "sklearn.metrics",
    "tfx": "tfx.orchestration.portable.launcher",  # what we load of it: `from tfx import v1` takes twice as long
}
NO_IMPORT = frozenset({"ruff", "types-defusedxml", "types-PyYAML"})  # a program, and stubs
# ours by way of tfx, which pins them; the code imports them by name
PARTS = {
    "tensorflow": "tensorflow",
    "keras": "keras",
    "tensorflow-data-validation": "tensorflow_data_validation",
    "tensorflow-transform": "tensorflow_transform",
    "tensorflow-model-analysis": "tensorflow_model_analysis",
    "tfx-bsl": "tfx_bsl",
    "ml-metadata": "ml_metadata",
    "pyarrow": "pyarrow",
}
RUNS = 2
_CPU = "import json, resource; {}u = resource.getrusage(resource.RUSAGE_SELF); print(json.dumps(u.ru_utime + u.ru_stime))"


def main() -> None:
    """Prints a Markdown table; times are CPU seconds, the least of three processes, less what Python itself takes."""
    bare_s = _cpu_s("")
    print("| package | version | licence | MB | with what it brings | import, CPU |\n| --- | --- | --- | ---: | ---: | ---: |")
    for name, module in _direct():
        own, brought = megabytes([name]), megabytes(sorted(closure(name)))
        import_s = f"{_cpu_s(f'import {module}; ') - bare_s:.2f} s" if module else "not imported"
        print(f"| {name} | {distribution(name).version} | {licence(distribution(name))} | {own:.1f} | {brought:.1f} | {import_s} |")
    print(f"\nPython {sys.version.split()[0]}; {megabytes(sorted(_everything())):.0f} MB in all")


def licence(found: Distribution) -> str:
    """Returns what the package's metadata says, in few words."""
    (given, *_) = [*found.metadata.get_all("License-Expression", []), *found.metadata.get_all("License", []), ""]
    classifiers = [line.rpartition(":: ")[2] for line in found.metadata.get_all("Classifier", []) if line.startswith("License")]
    return given if 0 < len(given) < 60 else "; ".join(classifiers) or "not told"


def closure(name: str) -> set[str]:
    """Returns a package and all that it needs, in this environment."""
    found: set[str] = set()
    waiting = [Requirement(name)]
    while waiting:
        requirement = waiting.pop()
        key = f"{_canonical(requirement.name)}[{','.join(sorted(requirement.extras))}]"
        if key not in found and _installed(requirement.name):
            found.add(key)
            waiting += _needs(requirement)
    return {key.partition("[")[0] for key in found}


def megabytes(names: list[str]) -> float:
    """Returns the size of the packages' files, compiled Python left out."""
    return sum(_bytes(name) for name in names) / 1e6


@cache
def _bytes(name: str) -> int:
    listed = distribution(name).files or []
    paths = (Path(str(file.locate())) for file in listed if file.suffix != ".pyc")
    return sum(path.stat().st_size for path in paths if path.is_file())


def _needs(requirement: Requirement) -> list[Requirement]:
    wanted = (Requirement(text) for text in distribution(requirement.name).requires or [])
    extras = requirement.extras or {""}
    return [item for item in wanted if item.marker is None or any(item.marker.evaluate({"extra": extra}) for extra in extras)]


def _direct() -> list[tuple[str, str]]:
    """Returns names and what to import, in the order of pyproject.toml, the parts of TFX after it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text[text.index("dependencies = [") : text.index("[tool.setuptools")]
    written = re.findall(r'^    "([A-Za-z0-9_-]+)', section, re.MULTILINE)
    ours = [name for name in dict.fromkeys(written) if name != "License"]
    tuples = [(name, "" if name in NO_IMPORT else IMPORTED_AS.get(name, name.lower())) for name in ours]
    after = ours.index("setuptools") + 1
    return tuples[:after] + list(PARTS.items()) + tuples[after:]


def _everything() -> set[str]:
    names = {name for name, _ in _direct()}
    return set().union(*(closure(name) for name in names))


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _cpu_s(statement: str) -> float:
    command = [sys.executable, "-W", "ignore", "-c", _CPU.format(statement)]
    outputs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(RUNS)]
    return min(float(json.loads(output.splitlines()[-1])) for output in outputs)


if __name__ == "__main__":
    main()

"""Nodes that do next to nothing: one writes what a file tells it to, others copy it, two of them at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.artifact import Artifact

from tfx_retail.beside import heed
from tfx_retail.errors import RunError


class Text(Artifact):
    """`text.txt`."""

    TYPE_NAME = "TinyText"


@component
def Maker(told: Parameter[str], code: Parameter[str], text: OutputArtifact[Text]) -> None:  # noqa: N802  # TFX names a component so
    """Writes the words of the file `told`; the words `fail` and `interrupt` are orders."""
    words = Path(told).read_text(encoding="utf-8")
    Path(text.uri).mkdir(parents=True, exist_ok=True)
    (Path(text.uri) / "text.txt").write_text(words, encoding="utf-8")
    if words == "fail":
        raise RunError("told to fail")
    if words == "interrupt":
        raise KeyboardInterrupt


@component
def Taker(text: InputArtifact[Text], copy: OutputArtifact[Text]) -> None:  # noqa: N802
    """Copies."""
    Path(copy.uri).mkdir(parents=True, exist_ok=True)
    (Path(copy.uri) / "text.txt").write_bytes((Path(text.uri) / "text.txt").read_bytes())


class Meeting:
    """Where Waiter and Worker wait for each other, so that a test sees them at work at the same time."""

    waiter = threading.Event()
    worker = threading.Event()
    running = 0
    alone = False  # they run one after the other, so neither waits

    @classmethod
    def reset(cls) -> None:
        cls.waiter.clear()
        cls.worker.clear()
        cls.running, cls.alone = 0, False

    @classmethod
    @contextmanager
    def taken_part_in(cls, here: threading.Event, other: threading.Event) -> Iterator[None]:
        """Waits until the other one has come, and leaves."""
        cls.running += 1
        try:
            here.set()
            assert cls.alone or other.wait(60), "the other node did not begin while this one was at work"
            yield
        finally:
            cls.running -= 1


@component
def Waiter(text: InputArtifact[Text], copy: OutputArtifact[Text]) -> None:  # noqa: N802
    """Copies, or fails; where Worker is to end the run, it waits for that."""
    words = _copied(text.uri, copy.uri)
    with Meeting.taken_part_in(Meeting.waiter, Meeting.worker):
        if words == "the waiter fails":
            raise RunError("the waiter was told to fail")
        while words in ("the worker fails", "interrupt the worker"):
            threading.Event().wait(0.001)
            heed()


@component
def Worker(text: InputArtifact[Text], copy: OutputArtifact[Text]) -> None:  # noqa: N802
    """Copies, fails or interrupts."""
    words = _copied(text.uri, copy.uri)
    with Meeting.taken_part_in(Meeting.worker, Meeting.waiter):
        if words == "the worker fails":
            raise RunError("the worker was told to fail")
        if words == "interrupt the worker":
            raise KeyboardInterrupt


def _copied(source: str, target: str) -> str:
    words = (Path(source) / "text.txt").read_text(encoding="utf-8")
    Path(target).mkdir(parents=True, exist_ok=True)
    (Path(target) / "text.txt").write_text(words, encoding="utf-8")
    return words

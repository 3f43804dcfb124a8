"""The screen shows a run to a person; the noise goes to the log."""

import json
import os
from io import StringIO
from pathlib import Path

from rich.console import Console

from tfx_retail.runs import NodeFacts
from tfx_retail.screen import STARTING, Board, quiet, training_line


def test_what_libraries_write_to_the_process_goes_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    with quiet(log) as console:
        os.write(1, b"from C++ on 1\n")
        os.write(2, b"from C++ on 2\n")
        console.print("for the person")
    assert log.read_text() == "from C++ on 1\nfrom C++ on 2\n"


def test_a_node_is_one_line_where_there_is_no_terminal() -> None:
    text = StringIO()
    with Board(Console(file=text, width=200)) as board:
        board.start("ExampleGen")
        board.end(NodeFacts(node="ExampleGen", state="ran", seconds=12.34, summary="160 photos", why="first run"))
    assert text.getvalue() == "✔ ExampleGen       ran        12.3 s  160 photos · first run\n"


def test_nodes_that_run_side_by_side_have_a_line_each_until_they_end() -> None:
    text = StringIO()
    console = Console(file=text, width=200)
    board = Board(console)
    for node in (STARTING, "InfraCheck", "Predictions"):
        board.start(node)
    console.print(board._render())
    assert [line.split()[1] for line in text.getvalue().splitlines()] == ["InfraCheck", "Predictions"]
    board.end(NodeFacts(node="InfraCheck", state="ran"))
    text.truncate(text.seek(0))
    console.print(board._render())
    assert [line.split()[1] for line in text.getvalue().splitlines()] == ["Predictions"]


def test_training_tells_how_much_is_left(tmp_path: Path) -> None:
    file = tmp_path / "progress.jsonl"
    line = {"epoch": 3, "epochs": 10, "step": 25, "steps": 100, "loss": 1.25, "val_accuracy": 0.5, "seconds": 50.0}
    file.write_text("{}\n" + json.dumps(line) + "\n")
    assert training_line(file) == "epoch 3 of 10, step 25 of 100, loss 1.250, val accuracy 0.500, about 2 min left"


def test_a_progress_file_that_is_missing_or_half_written_shows_nothing(tmp_path: Path) -> None:
    (tmp_path / "half").write_text('{"epoch": 1, "epo')
    assert training_line(tmp_path / "half") == ""
    assert training_line(tmp_path / "missing") == ""
    assert training_line(None) == ""

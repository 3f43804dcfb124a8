"""A live Airflow, asked for by TFX_RETAIL_TEST_AIRFLOW=3 (or 2), as tools/test_airflow.sh does; and servers that messages are sent to."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import pytest

from tests.airflow.live import REPO, Live, started


@pytest.fixture(scope="session")
def major() -> int:
    """The version that was asked for."""
    asked = os.environ.get("TFX_RETAIL_TEST_AIRFLOW", "")
    if not asked:
        pytest.skip("a live Airflow takes minutes: make test-airflow starts one")
    return int(asked)


@pytest.fixture(scope="session")
def folder() -> Path:
    """Where deployments of the tests lie."""
    return Path(os.environ.get("TFX_RETAIL_TEST_FOLDER", REPO / ".cache" / "airflow-tests"))


@pytest.fixture(scope="session")
def live(major: int, folder: Path) -> Iterator[Live]:
    yield from started(folder, major)


@pytest.fixture
def posted() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a server and what was posted to it."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook", received
        server.shutdown()


@pytest.fixture
def mailbox() -> Iterator[tuple[int, list[str]]]:
    """The port of a mail server and the mails that it took."""
    received: list[str] = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 ready")
            for line in self.rfile:
                word = line.decode().strip().upper()[:4]
                if word == "DATA":
                    self._say("354 go on")
                    received.append("".join(iter(lambda: self.rfile.readline().decode().replace("\r\n", "\n"), ".\n")))
                self._say("221 bye" if word == "QUIT" else "250 ok")

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], received
        server.shutdown()

"""An Airflow that really runs: started by deploy/local.sh, spoken to as a user's script would, over its REST interface."""

import ast
import base64
import json
import os
import shlex
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
ENDED = {"success", "failed"}


class Live:
    """One deployment of one version of Airflow."""

    def __init__(self, folder: Path, major: int, environment: dict[str, str] | None = None) -> None:
        self.major = major
        self.folder = folder / str(major)  # as deploy/local.sh lays it out
        self._environment = {**os.environ, **(environment or {}), "TFX_RETAIL_DEPLOY": str(folder)}
        self._token = ""

    def local(self, command: str, *words: str, timeout_s: float = 900) -> str:
        """Calls deploy/local.sh and returns what it said."""
        call = [str(REPO / "deploy" / "local.sh"), command, "--airflow", str(self.major), *words]
        done = subprocess.run(call, env=self._environment, capture_output=True, text=True, timeout=timeout_s, check=False)
        assert done.returncode == 0, f"{' '.join(call)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self, *words: str) -> None:
        """Starts what is not running."""
        self.local("up", *words)
        self._token = ""

    def down(self) -> None:
        """Stops everything."""
        self.local("down")

    def forget(self) -> None:
        """Stops everything and removes what it had kept."""
        self.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def settings(self) -> dict[str, str]:
        """Returns the environment that every process of this deployment was given."""
        lines = (shlex.split(line)[1] for line in self.local("env").splitlines())
        return dict(line.split("=", 1) for line in lines)

    def port(self, name: str) -> int:
        """Returns a port by its name in local.sh, say `postgres`."""
        ports = dict(line.split("=", 1) for line in (self.folder / "ports").read_text().split())
        return int(ports[f"{name}_port"])

    def pid(self, service: str) -> int:
        """Returns the process of a service, say `scheduler`."""
        return int((self.folder / "run" / f"{service}.pid").read_text())

    # ---- REST ----

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Returns the answer to one request; Airflow may be away for a moment."""
        root = f"http://127.0.0.1:{self.port('web')}/api/{'v2' if self.major == 3 else 'v1'}"
        tries_left = 20
        while True:
            tries_left -= 1
            try:
                return _send(method, f"{root}/{path}", body, self._headers())
            except urllib.error.HTTPError as error:
                if error.code < 500 or not tries_left:
                    raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()[:2000]}") from None
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if not tries_left:
                    raise
            time.sleep(3)

    def _headers(self) -> dict[str, str]:
        password = (self.folder / "password").read_text().strip()
        if self.major == 2:
            return {"Authorization": "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()}
        if not self._token:
            login = {"username": "admin", "password": password}
            self._token = _send("POST", f"http://127.0.0.1:{self.port('web')}/auth/token", login, {})["access_token"]
        return {"Authorization": f"Bearer {self._token}"}

    def wait_for_dag(self, dag: str, timeout_s: float = 180) -> None:
        """Waits until Airflow has parsed a DAG, and lets it run."""
        deadline = time.monotonic() + timeout_s
        while True:
            known = {item["dag_id"] for item in self.ask("GET", "dags?limit=100")["dags"]}
            if dag in known:
                break
            assert time.monotonic() < deadline, f"{dag} is not among {sorted(known)}; import errors: {self.import_errors()}"
            time.sleep(2)
        self.ask("PATCH", f"dags/{dag}", {"is_paused": False})

    def import_errors(self) -> list[str]:
        """Returns what Airflow's list of broken DAG files says."""
        return [item["stack_trace"] for item in self.ask("GET", "importErrors")["import_errors"]]

    def trigger(self, dag: str, run_id: str, **params: Any) -> str:
        """Starts a run and returns its id."""
        body: dict[str, Any] = {"dag_run_id": run_id, "conf": params}
        if self.major == 3:
            body["logical_date"] = None
        return str(self.ask("POST", f"dags/{dag}/dagRuns", body)["dag_run_id"])

    def state(self, dag: str, run_id: str) -> str:
        """Returns the state of a run."""
        return str(self.ask("GET", f"dags/{dag}/dagRuns/{_quoted(run_id)}")["state"])

    def wait(self, dag: str, run_id: str, timeout_s: float = 1200) -> str:
        """Returns the state in which a run ended."""
        deadline = time.monotonic() + timeout_s
        while (state := self.state(dag, run_id)) not in ENDED:
            assert time.monotonic() < deadline, f"{run_id} is still {state}: {self.tasks(dag, run_id)}"
            time.sleep(1)
        return state

    def tasks(self, dag: str, run_id: str) -> dict[str, str]:
        """Returns the state of each task of a run."""
        return {name: str(item["state"]) for name, item in self.instances(dag, run_id).items()}

    def instances(self, dag: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Returns all that Airflow says of the tasks of a run."""
        found = self.ask("GET", f"dags/{dag}/dagRuns/{_quoted(run_id)}/taskInstances?limit=100")["task_instances"]
        return {item["task_id"]: item for item in found}

    def clear(self, dag: str, run_id: str, *tasks: str, downstream: bool = False) -> None:
        """Does what the button Clear does."""
        body = {"dag_run_id": run_id, "task_ids": list(tasks), "dry_run": False, "only_failed": False, "include_downstream": downstream}
        self.ask("POST", f"dags/{dag}/clearTaskInstances", body | {"reset_dag_runs": True})

    def pause(self, dag: str) -> None:
        """Does what the switch of a DAG does."""
        self.ask("PATCH", f"dags/{dag}", {"is_paused": True})

    def stop(self, dag: str, run_id: str) -> None:
        """Does what the button Mark run as failed does."""
        self.ask("PATCH", f"dags/{dag}/dagRuns/{_quoted(run_id)}", {"state": "failed"})

    def mark(self, dag: str, run_id: str, task: str, state: str) -> None:
        """Does what the button Mark state as does, for one task."""
        body = {"new_state": state} | ({} if self.major == 3 else {"dry_run": False})
        self.ask("PATCH", f"dags/{dag}/dagRuns/{_quoted(run_id)}/taskInstances/{task}", body)

    def backfill(self, dag: str, first: str, last: str) -> None:
        """Asks for the runs of the days from `first` to `last`; 2.11 has its command line alone for that, which waits for their end."""
        if self.major == 2:
            self.local("airflow", "dags", "backfill", "--start-date", first, "--end-date", last, dag)
            return
        body = {"dag_id": dag, "from_date": f"{first}T00:00:00Z", "to_date": f"{last}T00:00:00Z", "reprocess_behavior": "none"}
        self.ask("POST", "backfills", body | {"max_active_runs": 1, "run_backwards": False, "dag_run_conf": {}})

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """Returns all that Airflow says of the runs of a DAG."""
        return list(self.ask("GET", f"dags/{dag}/dagRuns?limit=100")["dag_runs"])

    def xcom(self, dag: str, run_id: str, task: str) -> Any:
        """Returns the value that a task handed over."""
        entry = self.ask("GET", f"dags/{dag}/dagRuns/{_quoted(run_id)}/taskInstances/{task}/xcomEntries/return_value")
        value = entry["value"]
        return value if isinstance(value, dict) else ast.literal_eval(value)  # 2.11 answers with Python's words for it

    def log(self, dag: str, run_id: str, task: str, attempt: int = 1) -> str:
        """Returns a task's log as Airflow's page shows it."""
        path = f"dags/{dag}/dagRuns/{_quoted(run_id)}/taskInstances/{task}/logs/{attempt}"
        content = self.ask("GET", path)["content"]
        if isinstance(content, str):
            return content
        return "\n".join(str(line.get("event", line)) if isinstance(line, dict) else str(line) for line in content)

    # ---- the two databases ----

    def sql(self, database: str, statement: str) -> list[list[str]]:
        """Returns the rows of a query on `airflow` or `mlmd`."""
        password = (self.folder / "secrets" / "postgres").read_text()
        call = [
            "psql",
            "-qtAX",
            "-F",
            "\t",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port("postgres")),
            "-U",
            "retail",
            "-d",
            database,
            "-c",
            statement,
        ]
        done = subprocess.run(call, env={**os.environ, "PGPASSWORD": password}, capture_output=True, text=True, timeout=60, check=True)
        return [line.split("\t") for line in done.stdout.splitlines()]


def started(folder: Path, major: int, *words: str, **environment: str) -> Iterator[Live]:
    """A deployment that begins with nothing, and is stopped in the end."""
    dags = folder / str(major) / "dags"
    made = Live(folder, major, {"AIRFLOW__CORE__DAGS_FOLDER": str(dags), **environment})
    made.forget()  # what an earlier session left: its runs have the names of ours
    dags.mkdir(parents=True)
    for file in (REPO / "dags").glob("*.py"):
        shutil.copy(file, dags)
    try:
        made.up(*words)
        yield made
    finally:
        made.down()


def _quoted(run_id: str) -> str:
    return urllib.parse.quote(run_id, safe="")  # `:` and `+` stand in Airflow's own run ids


def _send(method: str, url: str, body: Any, headers: dict[str, str]) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data, {"Content-Type": "application/json", "Accept": "application/json", **headers}, method=method
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
    with opener.open(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")

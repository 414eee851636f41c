"""A server of MLflow as its users start it, in one of two releases."""

from __future__ import annotations

import os
from pathlib import Path

from tests.applications.rest import Api
from tests.conftest import MLFLOW
from tests.waiting import until

from backout.children import Children, reap
from backout.embedded.server import free_port

OLD, NEW = "old", "new"
VERSIONS = {OLD: "2.14.3", NEW: "3.17.2"}
NAMES = ("old", "new", "fresh")


def path_of(release: str) -> str:
    """Return PATH with the programs of a release in front."""
    return f"{MLFLOW / release / 'bin'}:{os.environ['PATH']}"


def environment(release: str) -> dict[str, str]:
    """Return what a program of a release is given; what it imports is compiled, and may be so again."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "BACKOUT_", "MLFLOW_", "PYTHON"))}
    return kept | {"PATH": path_of(release), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


class Servers:
    """Servers on one database, which end with the test.

    Args:
        url: The database.
        folder: Their logs, and what they call artifacts.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder = url, folder
        # `mlflow server` leaves the server that it starts behind when it is ended.
        self._pids = {name: folder / f"{name}.pid" for name in NAMES}
        self._children = Children(folder / "servers", [*self._pids.values()])

    def start(self, name: str, release: str) -> Api:
        """Start one under one of `NAMES`, and return at once; `ready` waits for it."""
        port = free_port()
        argv = [
            *(str(MLFLOW / release / "bin/mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", "1", "--backend-store-uri", self._url),
            *("--default-artifact-root", str(self._folder / "artifacts")),
            # The default server of the later release asks for pandas; this one does not.
            *("--gunicorn-opts", f"--log-level info --pid {self._pids[name]}"),
        ]
        self._children.start(name, argv, env=environment(release), cwd=self._folder)
        return Api(f"http://127.0.0.1:{port}")

    def ready(self, name: str, api: Api) -> Api:
        """Wait until it answers, and has looked at the database: each does so when it is first asked."""
        until(lambda: api.healthy() or not self._children.alive(name))
        assert self._children.alive(name), self._children.log_tail(name, 30)
        api.get("experiments/get?experiment_id=0")
        return api

    def close(self) -> None:
        reap(self._children.directory, [*self._pids.values()])
        self._children.close()

"""What `doctor` says of each declared check: whether it could be run now."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from backout.checks import CheckOptions
from backout.checks.doctor import diagnose
from backout.clock import SystemClock
from backout.databases.base import Database
from backout.platforms.base import Diagnosis, Site
from backout.redact import Redactor

ADAPTER: TypeAdapter[Any] = TypeAdapter(CheckOptions)


def line(declared: dict[str, Any], directory: Path, database: Database | None = None) -> Diagnosis:
    site = Site("shop", "test", directory, dict(os.environ), SystemClock(), Redactor())
    return diagnose(ADAPTER.validate_python({"name": "it", **declared}), site, database, 5.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "smoke").write_text("#!/bin/sh\ntouch ran\n")
    (tmp_path / "smoke").chmod(0o755)
    (tmp_path / "plain").write_text("text")
    return tmp_path


@pytest.mark.parametrize(
    ("run", "ok"),
    [
        (["./smoke"], True),
        (["sh", "-c", "nothing-of-this-name"], True),
        (["nosuchprog"], False),
        (["./plain"], False),
        ("./smoke && true", True),
        ("cd / && ls", True),
        ("nosuchprog --all", False),
        ("if true; then", False),
        ('echo "', False),
        ("PORT=1 anything", True),
    ],
)
def test_a_command_is_looked_for_and_not_run(folder: Path, run: Any, ok: bool) -> None:
    found = line({"kind": "command", "run": run}, folder)
    assert found.subject == "check it"
    assert found.ok is ok, str(found.evidence)
    assert bool(found.remedy) is not ok
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("kind", [{"kind": "http"}, {"kind": "probes"}])
def test_somebody_listens_at_a_url_or_nobody_does(folder: Path, kind: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/health"
        assert line({**kind, "url": url}, folder).ok
    found = line({**kind, "url": url}, folder)
    assert found.ok is False
    assert "does not answer at port" in str(found.evidence)
    assert found.remedy == f"curl -sS -i {url}"


def test_a_query_without_a_database(folder: Path) -> None:
    found = line({"kind": "sql", "query": "SELECT 1", "expect": 1}, folder)
    assert (found.ok, found.remedy) == (False, "declare database in backout.yaml")

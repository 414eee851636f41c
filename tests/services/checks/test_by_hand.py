"""What a person would type instead of a check does the same."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from backout.redact import Redactor

pytestmark = pytest.mark.slow


def typed(commands: tuple[str, ...], **environ: str) -> str:
    """Return what a shell prints that is given the commands of a runbook."""
    done = subprocess.run(
        ["sh", "-c", "\n".join(commands)], capture_output=True, text=True, timeout=30,
        env={**os.environ, **environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_by_hand_http(check: Any, serve: Any) -> None:
    made = check("http", url=serve().url + "/a;b'c", expect_json={"status": "ok"}, version_header="x-version")
    commands = made.by_hand(Redactor())
    assert commands[:3] == (
        "# Expected: status 200.",
        '# Expected: in the answer is {"status": "ok"}.',
        "# Expected: the header x-version names the release.",
    )
    plain = check("http", url=serve().url).by_hand(Redactor())
    assert '"status": "ok"' in typed(plain)
    assert "X-Version: v1" in typed(plain)


def test_by_hand_probes_count_what_failed(check: Any, serve: Any, free_port: Any) -> None:
    service = serve(lambda n: (500 if n % 5 == 0 else 404 if n % 2 else 200, b"", {}))
    made = check("probes", url=service.url, count=20, max_error_rate=0.01, max_p95_ms=250)
    commands = made.by_hand(Redactor())
    assert "not more than 1.00% fail" in commands[0]
    assert typed(commands).startswith("4 of 20 failed; 95 % within ")
    nobody = check("probes", url=f"http://127.0.0.1:{free_port()}", count=5).by_hand(Redactor())
    assert typed(nobody).startswith("5 of 5 failed")


def test_by_hand_command(check: Any, tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    for run in ("ls | grep here # why", ["ls", "here"]):
        assert typed(check("command", run=run).by_hand(Redactor())) == "here\n0\n"
    assert typed(check("command", run="exit 3").by_hand(Redactor())) == "3\n"


def test_by_hand_sql(check: Any, database: Any) -> None:
    made = check(
        "sql", query="SELECT 'it''s' || count(*) FROM pg_class WHERE relname = 'x y'", expect="it's0"
    )
    assert made.by_hand(Redactor())[0] == "# Expected: it's0"
    assert typed(made.by_hand(Redactor()), DATABASE_URL=database.url) == "it's0\n"
    writing = check("sql", query="CREATE TABLE t ()", expect=None).by_hand(Redactor())
    assert writing[0] == "# Expected: (nothing)"
    with pytest.raises(AssertionError, match="read-only"):
        typed(writing, DATABASE_URL=database.url)


def test_by_hand_prometheus(check: Any, prometheus: Any) -> None:
    made = check("prometheus", url=prometheus[0], query="scalar(slow_ms)", limit=30, proves="response_time")
    commands = made.by_hand(Redactor())
    assert commands[0] == "# Expected: one figure, at most 30."
    assert '"20"' in typed(commands)


def test_by_hand_shows_no_secret_and_no_line_of_its_own(check: Any) -> None:
    secret, redactor = 'it\'s\na "token"', Redactor()
    in_url = "it's;a'token"  # A URL has no blanks.
    redactor.add(secret, in_url)
    for options in (
        {"kind": "http", "url": f"http://x/{in_url}", "headers": {"A": secret}, "expect_json": {"a": secret}},
        {"kind": "probes", "url": f"http://x/{in_url}"},
        {"kind": "command", "run": ["echo", secret]},
        {"kind": "command", "run": f"echo {secret}"},
        {"kind": "sql", "query": f"SELECT '{secret}'", "expect": secret},
        {"kind": "prometheus", "url": f"http://x/{in_url}", "query": secret, "proves": "other",
         "headers": {"A": secret}},
    ):  # fmt: skip
        text = "\n".join(check(**options).by_hand(redactor))
        assert "token" not in text, text
        assert "***" in text
    (line, _) = check("sql", query="SELECT 1", expect="1\nrm -rf /").by_hand(Redactor())
    assert "\n" not in line

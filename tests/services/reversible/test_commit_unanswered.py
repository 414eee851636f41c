"""The session is lost at COMMIT: whatever was typed, it says that nobody knows, and where to look."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.waiting import until

from backout.databases.postgres.reversible import journal
from backout.errors import ExitCode

from .conftest import Database
from .engine import run
from .test_kill import BACK, BEFORE, MIGRATE, Terminal

pytestmark = [pytest.mark.slow, pytest.mark.crash]

FINALIZE = ("db", "finalize", "--now", "--undone", "--yes")
UNINSTALL = ("db", "uninstall", "--yes")


@pytest.mark.parametrize("words", [BACK, FINALIZE, UNINSTALL], ids=lambda words: words[1])
def test_who_lost_the_session_at_commit_is_told_that_nobody_knows(
    database: Database, tmp_path: Path, words: tuple[str, ...]
) -> None:
    terminal = Terminal(database, tmp_path)
    run(terminal.link, BEFORE)
    terminal.type(*MIGRATE)
    if words is UNINSTALL:
        terminal.type(*FINALIZE)
    before = states(terminal)

    code, said = typed_and_cut(terminal, words)

    assert code == ExitCode.OUTCOME_UNKNOWN, said
    assert "did not answer to COMMIT" in said
    assert "All of it was done, or nothing." in said
    assert "backout db history   # says which" in said
    assert states(terminal) == before
    terminal.type(*words)


def states(terminal: Terminal) -> list[str]:
    return [one.state for one in journal.migrations(terminal.link)]


def typed_and_cut(terminal: Terminal, words: tuple[str, ...]) -> tuple[int, str]:
    """Type a command, end its sessions on the server while it stands before its COMMIT; return how it ended."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "BACKOUT_"))}
    env |= {"DATABASE_URL": terminal.url, "BACKOUT_FAULT": "db.commit.before", "BACKOUT_FAULT_SIGNAL": "STOP"}
    typed = subprocess.Popen(
        [sys.executable, "-m", "backout", *words],
        env=env,
        cwd=terminal.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: psutil.Process(typed.pid).status() == psutil.STATUS_STOPPED)
    run(
        terminal.link,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    terminal.alone()
    typed.send_signal(signal.SIGCONT)
    said, _ = typed.communicate(timeout=60)
    return typed.returncode, said

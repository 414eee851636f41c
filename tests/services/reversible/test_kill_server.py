"""Kill -9 of the server at every point of a migration, of its way back and of its way forward: all or nothing, and it says which."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path

import psutil
import pytest
from tests.waiting import until

from backout.app.migrations import Migrations
from backout.children import end
from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.due import due
from backout.databases.postgres.reversible.fingerprint import Print, differences
from backout.databases.postgres.reversible.link import scalar
from backout.errors import ExitCode

from . import servers
from .conftest import Database
from .engine import run
from .servers import VERSIONS, Server
from .test_kill import BACK, BEFORE, EVERY, FORWARD, MIGRATE, Terminal

pytestmark = [pytest.mark.slow, pytest.mark.crash]

ACKNOWLEDGED = "CREATE TABLE acknowledged (point text PRIMARY KEY)"


class Mortal:
    """A server of its own, somebody who types commands, and a client that was told that its rows are committed."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.acknowledged: set[str] = set()
        self.open()

    def open(self) -> None:
        self.database = Database(self.server.postgres.url)
        self.terminal = Terminal(self.database, self.folder)

    def type_and_kill(self, *words: str, point: str) -> tuple[int, str]:
        """Type a command, kill the server while the command stands at a point, start it again; return how the command ended."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "BACKOUT_"))}
        env |= {"DATABASE_URL": self.terminal.url, "BACKOUT_FAULT": point, "BACKOUT_FAULT_SIGNAL": "STOP"}
        argv = [sys.executable, "-m", "backout", *words]
        typed = subprocess.Popen(
            argv, env=env, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        until(lambda: psutil.Process(typed.pid).status() == psutil.STATUS_STOPPED)
        key = f"{words[0]} {len(self.acknowledged)}"
        run(self.terminal.link, f"INSERT INTO acknowledged VALUES ('{key}')")
        self.acknowledged.add(key)
        self._kill()
        typed.send_signal(signal.SIGCONT)
        said, _ = typed.communicate(timeout=60)
        self.server.postgres.start()
        self.database.close()
        self.open()
        found = {one["point"] for one in self.terminal.link.rows("SELECT point FROM acknowledged")}
        assert found == self.acknowledged, point
        return typed.returncode, said

    def _kill(self) -> None:
        postgres = self.server.postgres
        pid = int((postgres.home / "data" / "postmaster.pid").read_text().split()[0])
        postmaster = psutil.Process(pid)
        family = [postmaster, *postmaster.children(recursive=True)]
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        for one in family:
            end(one.pid, one.create_time(), signal.SIGKILL)
        postgres.stop()  # collects it: its pid must not look alive to the next one


@pytest.fixture(params=VERSIONS)
def mortal(
    request: pytest.FixtureRequest, tmp_path: Path, require_service: Callable[[str], None]
) -> Iterator[Mortal]:
    require_service("postgres")
    with servers.server(request.param, tmp_path / "server") as server:
        made = Mortal(server, tmp_path)
        # Else an acknowledged COMMIT might be in the server's memory alone; `fsync` counts when the machine dies.
        assert scalar(made.terminal.link, "SHOW synchronous_commit") == "on"
        run(made.terminal.link, BEFORE + ACKNOWLEDGED)
        yield made
        made.database.close()


def chosen(points: list[str]) -> list[str]:
    """Return those up to COMMIT, and some of those after it."""
    early = points.index("db.commit.after:1")
    return points[:early] + points[early :: 2 * EVERY + 2 if EVERY > 1 else 1]


def test_the_server_is_killed_on_the_way_back_and_forward(mortal: Mortal) -> None:
    old = mortal.terminal.print()
    mortal.terminal.type(*MIGRATE)
    back, forward = mortal.terminal.points(*BACK), mortal.terminal.points(*FORWARD)
    new = mortal.terminal.print()
    for on_back, on_forward in zip_longest(chosen(back), chosen(forward)):
        killed_on(mortal, BACK, on_back, (new, old), "undone", "was taken back")
        killed_on(mortal, FORWARD, on_forward, (old, new), "applied", "was made again")


def killed_on(
    mortal: Mortal,
    words: tuple[str, ...],
    point: str | None,
    schemas: tuple[Print, Print],
    done: str,
    told: str,
) -> None:
    """Go a way, with the server killed at a point of it, and go on until the way is gone; None: nobody is killed."""
    if point is None:
        mortal.terminal.type(*words)
        return
    before, after = schemas
    code, said = mortal.type_and_kill(*words, point=point)
    terminal = mortal.terminal
    (migration,) = journal.migrations(terminal.link)
    if point.startswith(("db.locked", "db.commit.before")):
        assert migration.state != done, point
        assert differences(before, terminal.print()) == [], (
            f"{point}: killed before COMMIT, something is left"
        )
        expected, sentence = (
            (ExitCode.OUTCOME_UNKNOWN, "now    All of it was done, or nothing.")
            if point.startswith("db.commit.before")
            else (ExitCode.NOT_POSSIBLE, "what was open was rolled back.")
        )
        assert (code, sentence in said) == (expected, True), f"{point}: {code} {said}"
        terminal.type(*words)
    else:
        assert migration.state == done, point
        assert code == ExitCode.PROOF_FAILED, f"{point}: {code} {said}"
        assert told in said and "next   backout db finish" in said, f"{point}: {said}"
        terminal.type("db", "finish")
    assert differences(after, terminal.print()) == [], point
    assert due(terminal.link) == [], point


def test_the_server_is_killed_in_a_migration(mortal: Mortal) -> None:
    old = mortal.terminal.print()
    points = mortal.terminal.points(*MIGRATE)
    mortal.terminal.type(*BACK)
    for point in points[::-1][::EVERY]:
        code, said = mortal.type_and_kill(*MIGRATE, point=point)
        terminal = mortal.terminal
        assert code not in (ExitCode.DONE, ExitCode.BUG), f"{point}: {said}"
        assert "next   backout db status" in said, f"{point}: {said}"
        # Whatever the command's own transactions had committed can be taken back, and only that is there.
        nothing = "There is no migration to take back." in Migrations(terminal.url).status().why
        assert nothing is (differences(old, terminal.print()) == []), point
        if not nothing:
            terminal.type(*BACK)
        assert differences(old, terminal.print()) == [], point

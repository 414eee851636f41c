"""Kill -9 at every point of a migration, of its way back and of its way forward: all or nothing, and the next one goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.waiting import until

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.due import due
from backout.databases.postgres.reversible.fingerprint import Print, differences, read_print
from backout.databases.postgres.reversible.link import DirectLink

from .conftest import Database
from .engine import run

pytestmark = [pytest.mark.slow, pytest.mark.crash]

BEFORE = """
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text NOT NULL DEFAULT 'x', b int REFERENCES p, c int NOT NULL DEFAULT 3);
CREATE TABLE beside (id int PRIMARY KEY, v text NOT NULL DEFAULT 'v' UNIQUE);
INSERT INTO p VALUES (1), (2); INSERT INTO beside VALUES (1, 'v1'), (2, 'v2');
INSERT INTO t (a, b) VALUES ('one', 1), ('two', 2);
"""
UP = """
BEGIN;
ALTER TABLE t DROP COLUMN b;
CREATE TABLE made (id serial PRIMARY KEY, t int REFERENCES t);
COMMIT;
CREATE INDEX CONCURRENTLY t_a ON t (a);
BEGIN;
ALTER TABLE t DROP COLUMN c;
ALTER TABLE t ADD COLUMN d text NOT NULL DEFAULT 'd';
ALTER TABLE t ADD CONSTRAINT t_a_key UNIQUE (a);
ALTER TABLE beside
-- backout: fill beside.v = 'none'
-- backout: keep beside = side-table
DROP COLUMN v;
COMMIT;
"""
EVERY = 1 if int(os.environ.get("BACKOUT_CRASH_RANDOM", "5")) >= 50 else 3
"""Every point, as `make crash` wants it; else a third of them: a round takes a second or two."""
MIGRATE = ("migrate", "--release", "2.0.0", "--", "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "up.sql")
BACK, FORWARD = ("db", "rollback", "--yes"), ("db", "redo", "--yes")


class Terminal:
    """Somebody who types commands, and can be killed at a point."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.folder, self.url, self.link = folder, database.url, database.link()
        (folder / "up.sql").write_text(UP)

    def type(self, *words: str, fault: str | None = None, log: Path | None = None) -> int:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "BACKOUT_"))}
        env |= {"DATABASE_URL": self.url} | ({"BACKOUT_FAULT": fault} if fault else {})
        env |= {"BACKOUT_FAULT_LOG": str(log)} if log else {}
        argv = [sys.executable, "-m", "backout", *words]
        done = subprocess.run(argv, env=env, cwd=self.folder, capture_output=True, text=True, timeout=120)
        if fault is None:
            assert done.returncode == 0, done.stdout + done.stderr
        self.alone()
        return done.returncode

    def alone(self) -> None:
        """Wait until the server has ended what the killed one left: it notices a client that is gone."""
        others = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        until(lambda: self.link.rows(others)[0]["n"] == "0")

    def points(self, *words: str) -> list[str]:
        log = self.folder / f"{words[0]}-{words[1]}.log"
        self.type(*words, log=log)
        return log.read_text().split()

    def print(self) -> Print:
        return printed(self.link)


def printed(link: DirectLink) -> Print:
    link.rows("BEGIN ISOLATION LEVEL REPEATABLE READ")
    found = read_print(link)
    link.rows("COMMIT")
    return found


def without_table(found: Print, *names: str) -> dict[str, str]:
    return {name: text for name, text in found.things.items() if not any(n in name for n in names)}


def test_killed_anywhere_it_is_all_or_nothing_and_the_next_one_goes_on(
    database: Database, tmp_path: Path
) -> None:
    terminal = Terminal(database, tmp_path)
    run(terminal.link, BEFORE)
    old = terminal.print()
    up, back = terminal.points(*MIGRATE), terminal.points(*BACK)
    assert differences(old, terminal.print()) == []
    new_by_redo = terminal.points(*FORWARD)
    new = terminal.print()
    terminal.type(*BACK)
    for inside in (
        "migrate.softened",
        "migrate.commit.before",
        "migrate.commit.after",
        "db.commit.before",
        "db.due.after",
    ):
        assert any(point.startswith(inside) for point in {*up, *back}), inside

    for point in back[::EVERY]:
        terminal.type(*FORWARD)
        assert differences(new, terminal.print()) == [], point
        assert terminal.type(*BACK, fault=point) == -signal.SIGKILL, point
        if journal.migrations(terminal.link)[0].state == "applied":
            assert differences(new, terminal.print()) == [], (
                f"{point}: killed before the COMMIT, something is left"
            )
            terminal.type(*BACK)
        else:
            terminal.type("db", "finish")
        assert differences(old, terminal.print()) == [], point
        assert due(terminal.link) == [], point

    for point in new_by_redo[1::EVERY]:
        assert terminal.type(*FORWARD, fault=point) == -signal.SIGKILL, point
        if journal.migrations(terminal.link)[0].state == "undone":
            assert differences(old, terminal.print()) == [], (
                f"{point}: killed before the COMMIT, something is left"
            )
            terminal.type(*FORWARD)
        else:
            terminal.type("db", "finish")
        assert differences(new, terminal.print()) == [], point
        terminal.type(*BACK)


def test_a_migration_killed_anywhere_is_taken_back_as_far_as_it_came(
    database: Database, tmp_path: Path
) -> None:
    terminal = Terminal(database, tmp_path)
    run(terminal.link, BEFORE)
    old = terminal.print()
    look = "SELECT t.id, a, b, c, v FROM t JOIN beside USING (id) ORDER BY id"
    rows = terminal.link.rows(look)
    points = terminal.points(*MIGRATE)
    terminal.type(*BACK)
    for number, point in enumerate(points[::EVERY]):
        assert terminal.type(*MIGRATE, fault=point) == -signal.SIGKILL, point
        # Whatever the command's own transactions had committed can be taken back, and only that is there.
        if differences(old, terminal.print()):
            terminal.type(*BACK)
        assert differences(old, terminal.print()) == [], f"{number} {point}"
        assert terminal.link.rows(look) == rows, point
        states = {one.state for one in journal.migrations(terminal.link)}
        assert states <= {"undone", "running"}, f"{point}: {states}"

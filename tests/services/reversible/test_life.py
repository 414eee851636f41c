"""What happens to a database while a migration of it can be taken back: poolers, slots, another name, another place, an upgrade."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from tests.command_line import Done
from tests.crash.suite import until

from backout.embedded.server import EmbeddedPostgres, free_port

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import schema_of, seen
from .test_subscribers import Followed, followed

pytestmark = pytest.mark.slow
__all__ = ["followed"]

_T = "CREATE TABLE t (id serial PRIMARY KEY, a text NOT NULL DEFAULT 'd', n int); INSERT INTO t (a, n) VALUES ('a1', 1); CREATE TABLE o (x int)"
_UP = "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ALTER n TYPE bigint; ALTER TABLE t ADD z int; DROP TABLE o; CREATE TABLE later (id int)"


@pytest.fixture(params=["session", "transaction"])
def pooled(
    request: pytest.FixtureRequest,
    database: Database,
    require_service: Callable[[str], None],
) -> Iterator[str]:
    """The database's URL through PgBouncer."""
    require_service("pgbouncer")
    # Not below `tmp_path`: PgBouncer's user has to get there.
    home, port, there = (
        Path(tempfile.mkdtemp(prefix="backout-pgbouncer-")),
        free_port(),
        urlsplit(database.url),
    )
    (home / "users").write_text(f'"{there.username}" "{there.password}"\n')
    (home / "ini").write_text(
        f"[databases]\n* = host={there.hostname} port={there.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {home}/users\npool_mode = {request.param}\n"
        "server_login_retry = 0\nignore_startup_parameters = extra_float_digits\n"
    )
    switch: dict[str, Any] = {}
    if os.getuid() == 0:
        entry = pwd.getpwnam("postgres")
        for path in (home, *home.iterdir()):
            os.chown(path, entry.pw_uid, entry.pw_gid)
        switch = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([program, str(home / "ini")], stdout=log, stderr=log, cwd="/", **switch)
    url = database.url.replace(f":{there.port}/", f":{port}/")
    try:
        until(lambda: _answers(url))
        yield url
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(home)


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url) as session:
            return session.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def test_clients_behind_a_pooler_notice_nothing_and_the_command_itself_is_refused_there(
    database: Database, pooled: str, typed: Callable[..., Done]
) -> None:
    run(database.link(), _T)
    stop, written, wrong = threading.Event(), [], []

    def client() -> None:
        with closing(psycopg.connect(pooled, autocommit=True, prepare_threshold=None)) as session:
            while not stop.is_set():
                try:
                    session.execute("INSERT INTO t (n) VALUES (7)")
                    written.append(session.execute("SELECT count(n) FROM t").fetchone())
                except psycopg.Error as error:
                    wrong.append(str(error))

    def goes_on() -> None:
        count = len(written)
        until(lambda: len(written) > count + 5)

    threads = [threading.Thread(target=client) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        goes_on()
        through = ("migrate", "--", "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-c", _UP)
        typed(*through, DATABASE_URL=pooled).refused(2, what="leads to a pooler", now="", next="")
        for words in (
            through,
            ("db", "rollback", "--yes"),
            ("db", "redo", "--yes"),
            ("db", "rollback", "--yes"),
        ):
            typed(*words).ended(0)
            goes_on()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert seen(database.link(), "SELECT count(*) FROM t WHERE a = 'd'") == str(len(written))


def test_a_logical_slot_streams_on_and_keeps_no_wal(followed: Followed) -> None:
    """`test_decoding`, as readers with their own plugin (wal2json and others) see it: rows, and no DDL; and `pgoutput` of a column that stays."""
    ours = followed.ours
    ours.execute(_T)
    ours.execute("CREATE PUBLICATION part FOR TABLE t (id)")
    for name, plugin in (("reads", "test_decoding"), ("follows", "pgoutput")):
        ours.execute("SELECT pg_create_logical_replication_slot(%s, %s)", (name, plugin))

    def read() -> list[str]:
        found = ours.execute(
            "SELECT data FROM pg_logical_slot_get_changes('reads', NULL, NULL) WHERE data LIKE 'table public.t:%'"
        )
        return [str(row[0]) for row in found.fetchall()]

    def sent() -> list[int]:
        """Return how many rows were made and changed, as `pgoutput` sends it."""
        got = "pg_logical_slot_peek_binary_changes('follows', NULL, NULL, 'proto_version', '1', 'publication_names', 'part')"
        found = ours.execute(f"SELECT data FROM {got}".encode()).fetchall()
        return [sum(bytes(one).startswith(word) for (one,) in found) for word in (b"I", b"U")]

    def flushed() -> object:
        return ours.execute(
            "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'reads'"
        ).fetchone()

    steps = (
        lambda: followed.migrate(_UP).ended(0),
        lambda: followed.cli("db", "rollback", "--yes").ended(0),
        lambda: followed.cli("db", "redo", "--yes").ended(0),
    )
    for number, step in enumerate(steps, 10):
        before, already = flushed(), sent()
        ours.execute("INSERT INTO t (n) VALUES (%s)", (number,))
        step()
        ours.execute("UPDATE t SET n = n + 100 WHERE n = %s", (number,))
        told = read()
        assert any("INSERT" in one and f":{number}" in one for one in told), told
        assert any("UPDATE" in one and f":{number + 100}" in one for one in told), told
        made, changed = (now - earlier for now, earlier in zip(sent(), already, strict=True))
        assert made == 1
        assert changed >= 1
        assert flushed() != before
    ours.execute("CHECKPOINT")
    for name in ("reads", "follows"):
        ours.execute("SELECT pg_drop_replication_slot(%s)", (name,))


def test_another_name_and_another_place_between_up_and_down(
    database: Database, postgres: EmbeddedPostgres
) -> None:
    """Neither changes what the journal knows things by: a dump and restore does, and is told (test_traps_pinned)."""
    link = database.link()
    run(link, _T)
    before = schema_of(database.url)
    number = migrate(link, _UP)
    after = schema_of(database.url)
    name = database.url.rsplit("/", 1)[1]
    other = f"{name}_other"
    with closing(psycopg.connect(postgres.superuser_url, autocommit=True)) as admin:
        for first, second, place in ((name, other, "elsewhere"), (other, name, "pg_default")):
            database.close()
            _alter(admin, "ALTER DATABASE {} RENAME TO {}", first, second)
            _alter(admin, "ALTER DATABASE {} SET TABLESPACE {}", second, place)
            moved = Database(database.url.rsplit("/", 1)[0] + f"/{second}")
            there = moved.link()
            run(there, "INSERT INTO t (n) VALUES (2)")
            if second == other:
                undo(there, number)
                assert schema_of(moved.url) == before
                assert seen(there, "SELECT a, n FROM t ORDER BY id") == "a1 1 | d 2"
            else:
                redo(there, number)
                assert schema_of(moved.url) == after
            moved.close()


def _alter(admin: psycopg.Connection[Any], statement: str, *names: str) -> None:
    until(
        lambda: (
            admin.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", (names[0],)).fetchone() is None
        )
    )
    admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore[arg-type]

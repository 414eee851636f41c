"""A database is dumped, restored beside the live one and found whole; what goes wrong leaves the live one as it was."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import sql
from tests.waiting import until

from backout.backup import BackupFormat, BesideState, RestoreOrder
from backout.backups.identity import identity_of
from backout.errors import CredentialsRefused, NotPossible, Refused, StepFailed, UsageError
from backout.launch import holder

from .pairs import quiet

pytestmark = pytest.mark.slow

_ROWS = 2000


@pytest.fixture
def service(database: Any) -> Iterator[Any]:
    with database.server.admin() as admin:
        admin.execute(sql.SQL("ALTER ROLE {} CREATEDB").format(sql.Identifier(database.role)))
    database.run(
        "CREATE TABLE reports (id serial PRIMARY KEY, body text NOT NULL)",
        "CREATE TABLE alembic_version (version_num text)",
        "INSERT INTO alembic_version VALUES ('1975ea83b712')",
        f"INSERT INTO reports (body) SELECT 'report ' || g FROM generate_series(1, {_ROWS}) g",
        "CREATE INDEX ON reports (body)",
    )
    yield database
    with database.server.admin() as admin:
        for (name,) in admin.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s) AND datname <> %s",
            (database.name, database.name),
        ).fetchall():
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def order_of(
    service: Any, path: Path, format: BackupFormat = BackupFormat.DIRECTORY, **more: Any
) -> RestoreOrder:
    return RestoreOrder(
        backup=path.name,
        path=str(path),
        format=format,
        identity=identity_of(path),
        database=more.pop("database", f"{service.name}_restored_20260101_000000"),
        live=service.name,
        **more,
    )


def dumped(service: Any, tmp_path: Path, form: str = "directory") -> Path:
    """Dump by pg_dump itself, as people do."""
    path = tmp_path / f"dump.{form}"
    option = {"directory": "-Fd", "custom": "-Fc", "plain": "-Fp"}[form.split(".")[0]]
    subprocess.run(["pg_dump", option, "-f", path, "-d", service.url], check=True, capture_output=True)
    if form.endswith(".gz"):
        path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return path


FORMATS = {
    "directory": BackupFormat.DIRECTORY,
    "custom": BackupFormat.CUSTOM,
    "plain": BackupFormat.PLAIN,
    "plain.gz": BackupFormat.PLAIN_GZIP,
}


def rows_in(service: Any, name: str) -> int:
    with psycopg.connect(service.url, dbname=name) as connection:
        row = connection.execute("SELECT count(*) FROM reports").fetchone()
    return int(row[0]) if row else 0


def ended(adapter: Any, name: str) -> Any:
    until(lambda: adapter.restore_state(name).state is not BesideState.RESTORING)
    return adapter.restore_state(name)


def test_what_was_dumped_is_restored_and_found_whole(service: Any, tmp_path: Path) -> None:
    adapter = service.adapter(tmp_path)
    told = adapter.dump(tmp_path / "dump", jobs=2, note=quiet)
    assert told.rows == {"public.reports": _ROWS, "public.alembic_version": 1} and told.rows_exact
    assert told.migration_head == "alembic:1975ea83b712"
    assert told.schema_fingerprint == adapter.schema(10).fingerprint
    rows = sum(len(f"{n}\treport {n}\n") for n in range(1, _ROWS + 1)) + len("1975ea83b712\n")
    assert 0 <= (told.unpacked_bytes or 0) - rows <= 2 * len("\\.\n\n\n"), (
        "it is what COPY wrote, as pg_dump ends it"
    )
    order = order_of(service, tmp_path / "dump")
    assert adapter.restore_state(order.database).state is BesideState.ABSENT
    adapter.start_restore(order, "run-1")
    state = ended(adapter, order.database)
    assert (state.state, state.why, state.backup, state.run) == (BesideState.RESTORED, None, "dump", "run-1")
    checked = adapter.check_restored(order.database, service.name, note=quiet)
    assert checked.problems == ()
    assert checked.rows == told.rows
    assert (checked.fingerprint, checked.migration_head) == (told.schema_fingerprint, told.migration_head)
    assert [found.name for found in adapter.beside(5)] == [order.database]
    adapter.start_restore(order, "run-1")
    assert adapter.restore_state(order.database).oid == state.oid, "what is done was done again"
    adapter.drop_beside(order.database)
    adapter.drop_beside(order.database)
    assert adapter.beside(5) == ()


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_restored(form: str, service: Any, tmp_path: Path) -> None:
    adapter, order = (
        service.adapter(tmp_path),
        order_of(service, dumped(service, tmp_path, form), FORMATS[form]),
    )
    adapter.start_restore(order, None)
    state = ended(adapter, order.database)
    assert (state.state, state.why) == (BesideState.RESTORED, None)
    assert rows_in(service, order.database) == _ROWS
    assert adapter.check_restored(order.database, service.name, note=quiet).problems == ()
    with service.admin() as admin:
        analysed = admin.execute("SELECT count(*) FROM pg_stats WHERE tablename = 'reports'").fetchone()
    assert analysed is not None


@pytest.mark.parametrize("form", FORMATS)
def test_publications_are_those_of_the_live_database(form: str, service: Any, tmp_path: Path) -> None:
    """Somebody subscribed since the backup, to other columns, or to nothing any more."""
    service.run(
        "CREATE PUBLICATION same FOR TABLE reports",
        "CREATE PUBLICATION changed FOR TABLE reports",
        "CREATE PUBLICATION ended FOR TABLE reports",
    )
    adapter, path = service.adapter(tmp_path), dumped(service, tmp_path, form)
    service.run(
        "DROP PUBLICATION ended",
        """CREATE PUBLICATION "it's new" WITH (publish = 'insert')""",
        "ALTER PUBLICATION changed SET TABLE reports (id) WHERE (id > 5), alembic_version",
    )
    with service.admin() as admin:
        admin.execute("CREATE PUBLICATION whole_schema FOR TABLES IN SCHEMA public")
    order = order_of(service, path, FORMATS[form])
    adapter.start_restore(order, None)
    assert ended(adapter, order.database).state is BesideState.RESTORED
    problems = [str(p) for p in adapter.check_restored(order.database, service.name, note=quiet).problems]
    assert len(problems) == 1, problems
    assert "Publication whole_schema is not as in the live database" in problems[0], (
        "only a superuser may make it"
    )
    with service.admin() as live, service.server.admin(order.database) as restored:
        with pytest.raises(psycopg.errors.DuplicateObject):
            restored.execute("CREATE PUBLICATION same")
        restored.execute("CREATE PUBLICATION whole_schema FOR TABLES IN SCHEMA public")
        told = [
            c.execute("SELECT * FROM pg_publication_tables ORDER BY 1, 2, 3").fetchall()
            for c in (live, restored)
        ]
        assert told[0] == told[1] != []
    assert adapter.check_restored(order.database, service.name, note=quiet).problems == ()


@pytest.mark.parametrize("form", ["custom", "plain"])
def test_a_restore_is_not_faster_than_allowed(form: str, service: Any, tmp_path: Path) -> None:
    service.run("INSERT INTO reports (body) SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
    path = dumped(service, tmp_path, form)
    adapter, order = (
        service.adapter(tmp_path),
        order_of(service, path, FORMATS[form], max_bytes_per_s=1_000_000),
    )
    began_s = time.monotonic()
    adapter.start_restore(order, None)
    assert ended(adapter, order.database).state is BesideState.RESTORED
    assert time.monotonic() - began_s > 2


def test_single_tables_come_with_their_rows_and_keys(service: Any, tmp_path: Path) -> None:
    service.run("CREATE TABLE other (id int REFERENCES reports)", "INSERT INTO other VALUES (1)")
    adapter = service.adapter(tmp_path)
    order = order_of(
        service, dumped(service, tmp_path, "custom"), BackupFormat.CUSTOM, tables=("public.other",)
    )
    adapter.start_restore(order, None)
    state = ended(adapter, order.database)
    assert (state.state, state.why) == (BesideState.RESTORED, None)
    assert adapter.counts(order.database, exact=True, deadline_s=10) == {
        "public.other": 1, "public.reports": 0, "public.alembic_version": 0,
    }  # fmt: skip
    adapter.drop_beside(order.database)
    text = order_of(service, dumped(service, tmp_path, "plain"), BackupFormat.PLAIN, tables=("public.other",))
    with pytest.raises(NotPossible, match="SQL text"):
        adapter.start_restore(text, None)


# --- what goes wrong ----------------------------------------------------------------------------


def failed(adapter: Any, order: RestoreOrder) -> str:
    adapter.start_restore(order, None)
    state = ended(adapter, order.database)
    assert state.state is BesideState.FAILED and state.why
    until(lambda: adapter.beside(5) == ())  # it says why first, and is dropped then
    return str(state.why)


@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_backup_fails_and_leaves_nothing(form: str, service: Any, tmp_path: Path) -> None:
    path = dumped(service, tmp_path, form)
    file = max(path.glob("*.dat.gz"), key=lambda f: f.stat().st_size) if path.is_dir() else path
    whole = file.read_bytes()
    if form == "plain":
        whole = whole.replace(b"report 7\n", b"report 7\textra column\n")
    else:
        whole = whole[: len(whole) // 2]
    file.write_bytes(whole)
    adapter, order = service.adapter(tmp_path), order_of(service, path, FORMATS[form])
    assert "could not be restored" in failed(adapter, order)
    assert rows_in(service, service.name) == _ROWS


def test_a_role_that_is_not_there_is_named_with_the_entry(
    service: Any, make_role: Any, tmp_path: Path
) -> None:
    other = make_role("reader")
    with service.admin() as admin:
        admin.execute(sql.SQL("GRANT SELECT ON reports TO {}").format(sql.Identifier(other)))
    path = dumped(service, tmp_path)
    with service.admin() as admin:
        admin.execute(sql.SQL("REVOKE ALL ON reports FROM {}").format(sql.Identifier(other)))
        admin.execute(sql.SQL("ALTER ROLE {} RENAME TO gone_role").format(sql.Identifier(other)))
    try:
        why = failed(service.adapter(tmp_path), order_of(service, path))
        assert "GRANT SELECT ON TABLE public.reports" in why and f'role "{other}" does not exist' in why
    finally:
        with service.server.admin() as admin:
            admin.execute(sql.SQL("ALTER ROLE gone_role RENAME TO {}").format(sql.Identifier(other)))


def test_a_full_disk_is_refused_before_the_first_byte(service: Any, tmp_path: Path) -> None:
    adapter = service.adapter(tmp_path)
    free = adapter.free_bytes(str(tmp_path))
    order = order_of(service, dumped(service, tmp_path), needed_bytes=free * 2, space_path=str(tmp_path))
    with pytest.raises(NotPossible, match="too full"):
        adapter.start_restore(order, None)
    assert adapter.restore_state(order.database).state is BesideState.ABSENT
    assert adapter.free_bytes(None) is None and adapter.free_bytes("/not/there") is None


def test_a_disk_that_fills_up_meanwhile_ends_it(service: Any, tmp_path: Path) -> None:
    adapter = service.adapter(tmp_path)
    free = adapter.free_bytes(str(tmp_path))
    service.run("INSERT INTO reports (body) SELECT repeat('x', 1000) FROM generate_series(1, 3000)")
    order = order_of(
        service, dumped(service, tmp_path, "plain"), BackupFormat.PLAIN,
        space_path=str(tmp_path), min_free_bytes=free * 2, max_bytes_per_s=500_000,
    )  # fmt: skip
    assert "nearly full" in failed(adapter, order)
    assert rows_in(service, service.name) == _ROWS + 3000


def test_it_waits_while_a_slot_lags_behind_and_then_goes_on(service: Any, tmp_path: Path) -> None:
    order = order_of(
        service, dumped(service, tmp_path, "plain"), BackupFormat.PLAIN,
        max_replica_lag_bytes=1, max_bytes_per_s=10_000,
    )  # fmt: skip
    adapter = service.adapter(tmp_path)
    with service.admin() as admin:
        admin.execute("SELECT pg_create_logical_replication_slot('slow_reader', 'test_decoding')")
        try:
            adapter.start_restore(order, None)
            until(lambda: "waits for standbys" in (adapter.restore_state(order.database).why or ""))
            assert adapter.restore_state(order.database).state is BesideState.RESTORING
        finally:
            admin.execute("SELECT pg_drop_replication_slot('slow_reader')")
    until(lambda: adapter.restore_state(order.database).why is None)
    assert ended(adapter, order.database).state is BesideState.RESTORED
    assert rows_in(service, order.database) == _ROWS


def test_write_ahead_log_that_grows_beyond_what_was_said_ends_it(service: Any, tmp_path: Path) -> None:
    service.run("INSERT INTO reports (body) SELECT repeat('x', 1000) FROM generate_series(1, 3000)")
    path, adapter = dumped(service, tmp_path, "plain"), service.adapter(tmp_path)
    with monitoring(service) as admin:
        row = admin.execute("SELECT sum(size)::bigint FROM pg_ls_waldir()").fetchone()
        assert row is not None
        order = order_of(
            service, path, BackupFormat.PLAIN, max_wal_bytes=int(row[0]), max_bytes_per_s=100_000
        )
        adapter.start_restore(order, None)
        # A slot keeps what is switched away from, as an archive does that cannot keep up.
        admin.execute("SELECT pg_create_physical_replication_slot('keeps', true)")
        try:
            until(lambda: _grown(admin, int(row[0])))
            state = ended(adapter, order.database)
            assert state.state is BesideState.FAILED and "write-ahead log has" in str(state.why)
            until(lambda: adapter.beside(5) == ())
            assert rows_in(service, service.name) == _ROWS + 3000
            with pytest.raises(StepFailed, match="write-ahead log") as raised:
                adapter.start_restore(order, None)
            assert "untouched" in str(raised.value.state) and "pg_stat_archiver" in raised.value.next_command
            assert adapter.beside(5) == ()
        finally:
            admin.execute("SELECT pg_drop_replication_slot('keeps')")


def _grown(admin: psycopg.Connection[Any], beyond: int) -> bool:
    admin.execute("SELECT pg_logical_emit_message(false, 'wal', repeat('x', 1000000)), pg_switch_wal()")
    row = admin.execute("SELECT sum(size) > %s FROM pg_ls_waldir()", (beyond,)).fetchone()
    return bool(row and row[0])


@contextmanager
def monitoring(service: Any) -> Iterator[psycopg.Connection[Any]]:
    """Let the role look at WAL and standbys; gives an administrator's connection."""
    role = sql.Identifier(service.role)
    with service.server.admin() as admin:
        admin.execute(sql.SQL("GRANT pg_monitor TO {}").format(role))
        yield admin
        admin.execute(sql.SQL("REVOKE pg_monitor FROM {}").format(role))


@pytest.fixture
def standby(service: Any, tmp_path: Path) -> Iterator[psutil.Process]:
    """A standby without a slot: it takes the write-ahead log as one does."""
    (tmp_path / "wal").mkdir()
    process = psutil.Popen(
        [
            "pg_receivewal",
            "-D",
            tmp_path / "wal",
            "--no-loop",
            "--synchronous",
            "-d",
            service.server.admin_url(),
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        with service.server.admin() as admin:
            until(lambda: _is_followed(admin))
        yield process
    finally:
        process.kill()
        process.wait()


def _is_followed(admin: psycopg.Connection[Any]) -> bool:
    admin.execute("SELECT pg_logical_emit_message(false, 'something', 'to follow'), pg_switch_wal()")
    return bool(admin.execute("SELECT FROM pg_stat_replication WHERE flush_lsn IS NOT NULL").rowcount)


def test_it_waits_while_a_standby_lags_behind_and_then_goes_on(
    service: Any, standby: psutil.Process, tmp_path: Path
) -> None:
    order = order_of(
        service, dumped(service, tmp_path, "plain"), BackupFormat.PLAIN,
        max_replica_lag_bytes=1, max_bytes_per_s=10_000,
    )  # fmt: skip
    adapter = service.adapter(tmp_path)
    with monitoring(service):
        standby.suspend()
        adapter.start_restore(order, None)
        until(lambda: "waits for standbys" in (adapter.restore_state(order.database).why or ""))
        assert adapter.restore_state(order.database).state is BesideState.RESTORING
        standby.kill()
        assert ended(adapter, order.database).state is BesideState.RESTORED
    assert rows_in(service, order.database) == _ROWS


@pytest.mark.parametrize("watched", ["max_replica_lag_bytes", "max_wal_bytes"])
def test_what_is_hidden_from_the_role_is_not_taken_for_fine(
    watched: str, service: Any, standby: psutil.Process, tmp_path: Path
) -> None:
    order = order_of(service, dumped(service, tmp_path, "plain"), BackupFormat.PLAIN, **{watched: 10**12})
    adapter = service.adapter(tmp_path)
    with pytest.raises(NotPossible, match="hidden from this role") as raised:
        adapter.start_restore(order, None)
    assert f'GRANT pg_monitor TO "{service.role}"' in raised.value.next_command
    assert adapter.beside(5) == ()


def test_a_role_without_createdb_is_told_what_to_type(service: Any, tmp_path: Path) -> None:
    with service.server.admin() as admin:
        admin.execute(sql.SQL("ALTER ROLE {} NOCREATEDB").format(sql.Identifier(service.role)))
    with pytest.raises(CredentialsRefused) as caught:
        service.adapter(tmp_path).start_restore(order_of(service, dumped(service, tmp_path)), None)
    assert "CREATEDB" in caught.value.next_command


@pytest.fixture
def tablespace(service: Any) -> Iterator[str]:
    """A tablespace that our role may not create anything in."""
    name = f"{service.name} fast"
    with service.server.admin() as admin:
        admin.execute("SET allow_in_place_tablespaces = on")
        admin.execute(sql.SQL("CREATE TABLESPACE {} LOCATION ''").format(sql.Identifier(name)))
        yield name
        admin.execute(sql.SQL("DROP TABLESPACE IF EXISTS {}").format(sql.Identifier(name)))


def _move(service: Any, tablespace: str) -> None:
    with service.server.admin() as admin:
        name = sql.Identifier(service.name)
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (service.name,)
        )
        admin.execute(sql.SQL("ALTER DATABASE {} SET TABLESPACE {}").format(name, sql.Identifier(tablespace)))
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


def test_a_tablespace_that_the_role_may_not_use_is_told_with_what_to_type(
    service: Any, tablespace: str, tmp_path: Path
) -> None:
    order, adapter = order_of(service, dumped(service, tmp_path)), service.adapter(tmp_path)
    _move(service, tablespace)
    try:
        assert adapter.live(5).may_create is False
        [lacking] = [line for line in adapter.doctor_restores() if not line.ok]
        assert f"may create nothing in the tablespace {tablespace}" in str(lacking.evidence)
        with pytest.raises(CredentialsRefused) as caught:
            adapter.start_restore(order, None)
        typed = caught.value.next_command
        assert typed in f"{lacking.remedy} ".replace(" (as", "  # as").replace(")", "")
        with service.server.admin() as admin:
            admin.execute(typed.partition("'")[2].partition("'")[0])
        adapter.start_restore(order, None)
        assert ended(adapter, order.database).state is BesideState.RESTORED
        adapter.drop_beside(order.database)
    finally:
        _move(service, "pg_default")


@pytest.mark.parametrize("form", ["directory", "plain.gz"])
def test_a_tablespace_that_the_server_has_not_is_told_with_what_to_type(
    form: str, service: Any, tablespace: str, tmp_path: Path
) -> None:
    name = sql.Identifier(tablespace)
    with service.admin() as admin:
        admin.execute(sql.SQL("ALTER TABLE reports SET TABLESPACE {}").format(name))
    path = dumped(service, tmp_path, form)
    with service.admin() as admin:
        admin.execute("ALTER TABLE reports SET TABLESPACE pg_default")
        admin.execute(sql.SQL("DROP TABLESPACE {}").format(name))
    adapter, order = service.adapter(tmp_path), order_of(service, path, FORMATS[form])
    why = failed(adapter, order)
    assert f'Tablespace "{tablespace}" does not exist' in why
    assert f'restore again: psql -c \'CREATE TABLESPACE "{tablespace}" LOCATION' in why
    with service.server.admin() as admin:
        admin.execute("SET allow_in_place_tablespaces = on")
        admin.execute(sql.SQL("CREATE TABLESPACE {} LOCATION ''").format(name))
        why = failed(adapter, order)
        typed = re.search(r"restore again: psql -c '(GRANT CREATE ON TABLESPACE .*)'$", why)
        assert typed, why
        admin.execute(typed[1])
    adapter.start_restore(order, None)
    assert ended(adapter, order.database).state is BesideState.RESTORED
    adapter.drop_beside(order.database)


def test_a_database_of_that_name_that_is_something_else_is_refused(service: Any, tmp_path: Path) -> None:
    order = order_of(service, dumped(service, tmp_path))
    with service.server.admin() as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(order.database)))
    with pytest.raises(Refused):
        service.adapter(tmp_path).start_restore(order, None)


def test_doctor_says_what_a_restore_would_lack_and_what_to_type(service: Any, tmp_path: Path) -> None:
    lines = list(service.adapter(tmp_path).doctor_restores())
    assert [line.ok for line in lines] == [True] * 4
    with service.server.admin() as admin:
        admin.execute(sql.SQL("ALTER ROLE {} NOCREATEDB").format(sql.Identifier(service.role)))
    [lacking] = [line for line in service.adapter(tmp_path).doctor_restores() if not line.ok]
    assert "CREATEDB" in str(lacking.remedy)
    [lacking] = service.adapter(tmp_path, maintenance_database="not there").doctor_restores()
    assert not lacking.ok and "maintenance_database" in str(lacking.remedy)
    [lacking] = [
        line for line in service.adapter(tmp_path, programs=tmp_path).doctor_restores() if not line.ok
    ][1:]
    assert "apt-get install postgresql-client" in str(lacking.remedy)


# --- kill -9 ------------------------------------------------------------------------------------

POINTS = (
    "restore.create.before", "restore.create.after", "restore.mark.after", "restore.open.after",
    "restore.launch.before", "restore.launch.after", "restore.lock.after", "restore.fill.before",
    "restore.fill.after", "restore.analyse.after",
)  # fmt: skip
_CHILD = """
import json, os, sys
from pathlib import Path
from backout.backup import RestoreOrder
from backout.clock import SystemClock
from backout.databases.postgres import PostgresDatabase, PostgresOptions
from backout.platforms.base import Site
from backout.redact import Redactor
site = Site("s", "e", Path(sys.argv[1]), os.environ, SystemClock(), Redactor())
adapter = PostgresDatabase.create(PostgresOptions(url=sys.argv[2]), site)
adapter.start_restore(RestoreOrder.model_validate_json(sys.argv[3]), None)
"""


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_anywhere_is_found_out_and_begun_anew(point: str, service: Any, tmp_path: Path) -> None:
    adapter, order = service.adapter(tmp_path), order_of(service, dumped(service, tmp_path))
    command = [sys.executable, "-c", _CHILD, str(tmp_path), service.url, order.model_dump_json()]
    subprocess.run(
        command, env={**os.environ, "BACKOUT_FAULT": point}, capture_output=True, timeout=60, check=False
    )
    state = ended(adapter, order.database)
    if point != "restore.launch.after":  # the process is there, and goes on without backout
        expected = BesideState.ABSENT if point == "restore.create.before" else BesideState.CUT_SHORT
        assert state.state is expected
        adapter.start_restore(order, None)
        state = ended(adapter, order.database)
    assert state.state is BesideState.RESTORED
    assert rows_in(service, order.database) == _ROWS


def slow_order(service: Any, tmp_path: Path) -> RestoreOrder:
    path = dumped(service, tmp_path, "plain")
    return order_of(service, path, BackupFormat.PLAIN, max_bytes_per_s=1000)


def test_a_killed_process_takes_its_programs_with_it(service: Any, tmp_path: Path) -> None:
    adapter, order = service.adapter(tmp_path), slow_order(service, tmp_path)
    adapter.start_restore(order, None)
    assert adapter.restore_state(order.database).state is BesideState.RESTORING
    [lock] = tmp_path.glob(".backout/restore-*/lock")
    held = holder(lock)
    assert held is not None and held.pid is not None
    workers = [
        p
        for p in psutil.Process(held.pid).children(recursive=True)
        if any("restoring" in a for a in p.cmdline())
    ]
    workers[0].kill()
    until(lambda: adapter.restore_state(order.database).state is BesideState.CUT_SHORT)
    with service.server.admin() as admin:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'backout'"
        until(lambda: admin.execute(query, (order.database,)).fetchone() == (0,), 10)


def test_a_restore_that_is_stopped_is_cut_short_and_can_be_dropped(service: Any, tmp_path: Path) -> None:
    adapter, order = service.adapter(tmp_path), slow_order(service, tmp_path)
    adapter.start_restore(order, "one")
    adapter.start_restore(order, "two")
    assert adapter.restore_state(order.database).run == "one", "what goes on was begun a second time"
    adapter.stop_restore(order.database)
    adapter.stop_restore(order.database)
    assert adapter.restore_state(order.database).state is BesideState.CUT_SHORT
    adapter.drop_beside(order.database)
    assert adapter.restore_state(order.database).state is BesideState.ABSENT


def command_lines(launcher: psutil.Process) -> list[str]:
    """Return those of a process and of all that it has started; one may end while it is looked at."""
    found = []
    for process in [launcher, *launcher.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            found.append(" ".join(process.cmdline()))
    return found


def test_a_password_is_in_no_file_and_no_list_of_processes(service: Any, tmp_path: Path) -> None:
    adapter, order = service.adapter(tmp_path), slow_order(service, tmp_path)
    adapter.start_restore(order, None)
    [lock] = tmp_path.glob(".backout/restore-*/lock")
    held = holder(lock)
    assert held is not None and held.pid is not None
    launcher = psutil.Process(held.pid)
    until(lambda: any("psql" in line for line in command_lines(launcher)))
    shown = " ".join(command_lines(launcher))
    written = " ".join(f.read_text() for f in lock.parent.iterdir() if f.is_file())
    for text in (shown, written):
        assert "s3cret" not in text
    assert lock.parent.joinpath("task.json").stat().st_mode & 0o077 == 0
    adapter.stop_restore(order.database)


ODD = 'we"ird.% Table$*'


def test_a_dump_of_some_tables_has_their_rows_alone_and_can_be_restored_by_itself(
    service: Any, tmp_path: Path
) -> None:
    with service.connect() as connection:
        connection.execute('CREATE SCHEMA "Ot\'her"')
        connection.execute("CREATE TYPE mood AS ENUM ('ok')")
        connection.execute(
            f"CREATE TABLE {_quoted(ODD)} (id int PRIMARY KEY, m mood, report int REFERENCES reports)"
        )
        connection.execute(f"INSERT INTO {_quoted(ODD)} SELECT g, 'ok', g FROM generate_series(1, 7) g")
        connection.execute('CREATE TABLE "weird" (id int); INSERT INTO weird VALUES (1)')
        connection.execute("CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)")
        connection.execute('CREATE TABLE "Ot\'her".parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)')
        connection.execute("INSERT INTO parts VALUES (1), (2)")
        connection.execute('CREATE TABLE "Ot\'her".more (id int); INSERT INTO "Ot\'her".more VALUES (1)')
        connection.execute("CREATE MATERIALIZED VIEW seen AS SELECT 1 / (count(*) - 0) AS n FROM reports")
        connection.execute("SELECT lo_from_bytea(0, '\\x0102')")
    adapter, there = service.adapter(tmp_path), {f"public.{ODD}": 7, "Ot'her.parts_1": 2}
    told = adapter.dump(tmp_path / "dump", jobs=2, note=quiet, tables=(f"public.{ODD}", "public.parts"))
    assert told.rows == there and told.rows_exact
    listed = subprocess.run(
        ["pg_restore", "-l", tmp_path / "dump"], check=True, capture_output=True, text=True
    )
    assert listed.stdout.count(" TABLE DATA ") == 2 and "BLOB" not in listed.stdout
    assert "MATERIALIZED VIEW DATA" not in listed.stdout
    order = order_of(service, tmp_path / "dump", tables=tuple(there))
    adapter.start_restore(order, None)
    state = ended(adapter, order.database)
    assert (state.state, state.why) == (BesideState.RESTORED, None)
    with psycopg.connect(service.url, dbname=order.database) as connection:
        for table, rows in (
            (_quoted(ODD), 7),
            ("parts", 2),
            ("reports", 0),
            ("weird", 0),
            ('"Ot\'her".more', 0),
        ):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchall() == [(rows,)], table
    with pytest.raises(UsageError, match=r"no table public\.nothing"):
        adapter.dump(tmp_path / "other", jobs=2, note=quiet, tables=("public.nothing",))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

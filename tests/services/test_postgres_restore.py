"""A database is dumped, restored beside the live one and found whole; what goes wrong leaves the live one as it was."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from backout.backup import BackupFormat, BesideState
from backout.errors import CredentialsRefused, NotPossible, Refused, UsageError

from .pairs import quiet
from .restoring import FORMATS, ROWS, dumped, ended, failed, order_of, rows_in

pytestmark = pytest.mark.slow


def test_what_was_dumped_is_restored_and_found_whole(service: Any, tmp_path: Path) -> None:
    adapter = service.adapter(tmp_path)
    told = adapter.dump(tmp_path / "dump", jobs=2, note=quiet)
    assert told.rows == {"public.reports": ROWS, "public.alembic_version": 1} and told.rows_exact
    assert told.migration_head == "alembic:1975ea83b712"
    assert told.schema_fingerprint == adapter.schema(10).fingerprint
    rows = sum(len(f"{n}\treport {n}\n") for n in range(1, ROWS + 1)) + len("1975ea83b712\n")
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
    assert rows_in(service, order.database) == ROWS
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
    assert rows_in(service, service.name) == ROWS


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

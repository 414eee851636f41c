"""A database is dumped, restored beside the live one and found whole; what goes wrong leaves the live one as it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from backout.backup import BackupFormat, BesideState, RestoreOrder

pytestmark = pytest.mark.slow

_ROWS = 2000


def quiet(_: object) -> None:
    """Nobody watches."""


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    ends_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_s, "did not come true in time"
        time.sleep(0.02)


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
        identity=f"id of {path.name}",
        database=more.pop("database", f"{service.name}_restored_20260101_000000"),
        live=service.name,
        **more,
    )


def dumped(service: Any, tmp_path: Path, format: BackupFormat = BackupFormat.DIRECTORY) -> Path:
    path = tmp_path / "dump"
    if format is BackupFormat.DIRECTORY:
        service.adapter(tmp_path).dump(path, jobs=2, note=quiet)
    return path


def ended(adapter: Any, name: str) -> Any:
    until(lambda: adapter.restore_state(name).state is not BesideState.RESTORING)
    return adapter.restore_state(name)


def test_what_was_dumped_is_restored_and_found_whole(service: Any, tmp_path: Path) -> None:
    adapter = service.adapter(tmp_path)
    told = adapter.dump(tmp_path / "dump", jobs=2, note=quiet)
    assert told.rows == {"public.reports": _ROWS, "public.alembic_version": 1} and told.rows_exact
    assert told.migration_head == "alembic:1975ea83b712"
    assert told.schema_fingerprint == adapter.schema(10).fingerprint
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

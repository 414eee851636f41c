"""What is watched while a restore runs: disk, write-ahead log, standbys and slots. It waits or ends, and harms nobody."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import sql
from tests.waiting import until

from backout.backup import BackupFormat, BesideState
from backout.errors import NotPossible, StepFailed

from .restoring import ROWS, dumped, ended, failed, order_of, rows_in

pytestmark = pytest.mark.slow


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
    assert rows_in(service, service.name) == ROWS + 3000


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
    assert rows_in(service, order.database) == ROWS


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
            assert rows_in(service, service.name) == ROWS + 3000
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
    assert rows_in(service, order.database) == ROWS


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

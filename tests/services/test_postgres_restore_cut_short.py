"""A restore is a process of its own: killed or stopped anywhere it is found out, and shows no password."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.waiting import until

from backout.backup import BackupFormat, BesideState, RestoreOrder
from backout.launch import holder

from .restoring import ROWS, dumped, ended, order_of, rows_in

pytestmark = pytest.mark.slow


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
    assert rows_in(service, order.database) == ROWS


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

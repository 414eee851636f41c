"""What the tests of restoring share: a dump as people make it, the order to restore it, and how it ended."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path
from typing import Any

import psycopg
from tests.waiting import until

from backout.backup import BackupFormat, BesideState, RestoreOrder
from backout.backups.identity import identity_of

ROWS = 2000
"""In the service's `reports`."""
FORMATS = {
    "directory": BackupFormat.DIRECTORY,
    "custom": BackupFormat.CUSTOM,
    "plain": BackupFormat.PLAIN,
    "plain.gz": BackupFormat.PLAIN_GZIP,
}


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


def rows_in(service: Any, name: str) -> int:
    with psycopg.connect(service.url, dbname=name) as connection:
        row = connection.execute("SELECT count(*) FROM reports").fetchone()
    return int(row[0]) if row else 0


def ended(adapter: Any, name: str) -> Any:
    until(lambda: adapter.restore_state(name).state is not BesideState.RESTORING)
    return adapter.restore_state(name)


def failed(adapter: Any, order: RestoreOrder) -> str:
    adapter.start_restore(order, None)
    state = ended(adapter, order.database)
    assert state.state is BesideState.FAILED and state.why
    until(lambda: adapter.beside(5) == ())  # it says why first, and is dropped then
    return str(state.why)

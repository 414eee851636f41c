"""Data taken back at a gigabyte: the restore beside PostgreSQL's own programs, and the time in which nobody could write.

Restores are made in turns; `restore` is from the order until the new database has all its rows, constraints and
indexes, `statistics` is the ANALYZE that follows. Reading the backup to its end, looking at what was restored and the
swap are shown apart. The service and its clients run all the time.
"""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from backout import Backout
from backout.assess.model import Request
from backout.backup import Backup, BesideState
from backout.demo.clients import Clients
from backout.demo.releases import GOOD
from backout.demo.stage import Stage
from backout.execute.runner import poll_after_s
from backout.plan.model import Scenario

ROWS = int(os.environ.get("BACKOUT_BENCH_ROWS", "4000000"))
PAIRS = 2
_FILL = """
CREATE TABLE events (id bigint PRIMARY KEY, tenant text NOT NULL, body text NOT NULL, at timestamptz NOT NULL);
INSERT INTO events SELECT n, 'tenant-' || n % 500,
  md5(n::text) || md5((n * 7)::text) || md5((n * 13)::text) || md5((n * 17)::text) || md5((n * 19)::text),
  timestamptz '2026-01-01' + n * interval '1 second' FROM generate_series(1, {rows}) n;
CREATE INDEX events_tenant ON events (tenant, at);
CREATE INDEX events_at ON events (at);
"""


def measure() -> dict[str, Any]:
    """Return seconds of both for each format, and of a whole way back of the data, unprepared and prepared."""
    with tempfile.TemporaryDirectory(prefix="backout-bench-", ignore_cleanup_errors=True) as folder:
        directory = Path(folder)
        directory.chmod(0o755)
        with Stage(directory / "stage", fsync=False) as stage:
            stage.deploy(GOOD)
            _fill(stage)
            with Backout.from_config(stage.config, stage.environ()) as backout:
                backout.record()
                began_s = time.perf_counter()
                made = backout.create_backup()
                create_s = time.perf_counter() - began_s
                text = _plain(stage)
                return {
                    "rows": ROWS,
                    "database_bytes": made.manifest.database_bytes if made.manifest else None,
                    "backup_bytes": made.size_bytes,
                    "create_seconds": round(create_s, 1),
                    "directory": _format(stage, backout, made.name),
                    "plain gzip": _format(stage, backout, text),
                    "way_back": _way_back(stage, backout, made.name, prepare=False),
                    "way_back_prepared": _way_back(stage, backout, made.name, prepare=True),
                }


def _fill(stage: Stage) -> None:
    with psycopg.connect(stage.database_url, autocommit=True) as connection:
        connection.execute(_FILL.format(rows=ROWS))  # type: ignore[call-overload]
        connection.execute("ANALYZE")


def _plain(stage: Stage) -> str:
    name = f"collector_{datetime.now(UTC):%Y%m%d_%H%M%S}.sql.gz"
    _shell(
        stage,
        f'"$BIN/pg_dump" "$DATABASE_URL" | gzip -1 > {shlex.quote(str(stage.directory / "backups" / name))}',
    )
    return name


def _format(stage: Stage, backout: Backout, name: str) -> dict[str, Any]:
    backup = next(b.backup for b in backout.backups().backups if b.backup.name == name)
    reading = backout.verify_backup(name)
    ours, bare = [], []
    for number in range(PAIRS):
        order = (_ours, _bare) if number % 2 else (_bare, _ours)
        for way in order:
            (ours if way is _ours else bare).append(way(stage, backout, backup))
    restored = [one["restore"] for one in ours]
    return {
        "read_seconds": reading.seconds,
        "restore_seconds": [round(s, 1) for s in restored],
        "statistics_seconds": [round(one["statistics"], 1) for one in ours],
        "check_seconds": [round(one["check"], 1) for one in ours],
        "bare": _bare_command(stage, backup, "N"),
        "bare_seconds": [round(one["restore"], 1) for one in bare],
        "ratio": round(statistics.median(restored) / statistics.median(one["restore"] for one in bare), 3),
        "pairs": PAIRS,
    }


def _ours(stage: Stage, backout: Backout, backup: Backup) -> dict[str, float]:
    from backout.app.prepare import restore_order
    from backout.app.restorable import restorable

    database = restorable(backout.parts)
    order = restore_order(backout.parts, database, backup, "restored")
    # A superuser sees at what time statistics were begun; asked by one session, and the state as often as a run asks.
    with psycopg.connect(stage.postgres.superuser_url, autocommit=True) as watching:
        began_s = time.perf_counter()
        database.start_restore(order, None)
        filled_s: float | None = None
        asked_s = began_s
        while True:
            filled_s = filled_s or _analysing_since(watching, order.database)
            now_s = time.perf_counter()
            if now_s - asked_s >= poll_after_s(now_s - began_s):
                state, asked_s = database.restore_state(order.database), now_s
                if state.state is not BesideState.RESTORING:
                    break
            time.sleep(0.02)
    restored_s = time.perf_counter()
    assert state.state is BesideState.RESTORED, state.why
    found = database.check_restored(order.database, order.live, note=lambda _message: None)
    checked_s = time.perf_counter()
    assert not found.problems and found.rows["public.events"] == ROWS
    database.drop_beside(order.database)
    filled_s = filled_s or restored_s
    return {
        "restore": filled_s - began_s,
        "statistics": restored_s - filled_s,
        "check": checked_s - restored_s,
    }


def _analysing_since(watching: psycopg.Connection[Any], database: str) -> float | None:
    """Return when the first ANALYZE of that database began, by `time.perf_counter`; None: none is under way."""
    row = watching.execute(
        "SELECT extract(epoch FROM clock_timestamp() - min(query_start))::float8 FROM pg_stat_activity"
        " WHERE datname = %s AND query ILIKE 'analyze%%'",
        (database,),
    ).fetchone()
    return None if row is None or row[0] is None else time.perf_counter() - float(row[0])


def _bare_command(stage: Stage, backup: Backup, database: str) -> str:
    if backup.path.endswith(".gz"):
        return f"gunzip -c {backup.name} | psql -Xq -v ON_ERROR_STOP=1 -d {database}"
    return f"pg_restore -j2 --exit-on-error -d {database} {backup.name}"


def _bare(stage: Stage, _backout: Backout, backup: Backup) -> dict[str, float]:
    url = stage.database_url.rpartition("/")[0] + "/bare"
    began_s = time.perf_counter()
    with psycopg.connect(stage.postgres.maintenance_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE bare TEMPLATE template0")
    command = _bare_command(stage, backup, shlex.quote(url)).replace(backup.name, shlex.quote(backup.path))
    command = command.replace("pg_restore", '"$BIN/pg_restore"').replace("psql", '"$BIN/psql"')
    _shell(stage, command)
    took_s = time.perf_counter() - began_s
    with psycopg.connect(stage.postgres.maintenance_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE bare")
    return {"restore": took_s}


def _shell(stage: Stage, command: str) -> None:
    environ = stage.environ() | {"BIN": str(stage.postgres.binaries.directory)}
    subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], check=True, env=environ, stdout=subprocess.DEVNULL
    )


def _way_back(stage: Stage, backout: Backout, name: str, *, prepare: bool) -> dict[str, Any]:
    if prepare:
        backout.restore_backup(name, prepare=True)
    with _clients(stage, f"requests-{prepare}.jsonl") as clients:
        time.sleep(1.0)
        clients.mark("begin")
        began_s = time.perf_counter()
        plan = backout.plan(Request(scenario=Scenario.DATA, backup=name))
        run = backout.run(plan)
        took_s = time.perf_counter() - began_s
        clients.mark("end")
        seen = clients.summary("begin", "end")
    seconds = {s.key[3:]: s.seconds for s in run.steps if s.seconds is not None}
    ends = {s.key[3:]: s.confirmed_at for s in run.steps}
    for kept in backout.backups().beside:
        backout.drop_beside(kept.name)
    held = ends["hold-release"] - ends["hold"]
    return {
        "ended_as": int(run.exit_code),
        "until_let_go_seconds": round((ends["hold-release"] - run.created_at).total_seconds(), 2),
        "until_proven_seconds": round((ends["verify"] - run.created_at).total_seconds(), 2),
        "with_plan_and_comparison_seconds": round(took_s, 2),
        "could_not_write_seconds": round(held.total_seconds(), 2),
        "closed_seconds": next(
            s.receipt.data["closed_s"] for s in run.steps if s.receipt and s.key.endswith("data-swap")
        ),
        "requests_sent": seen.requests_sent,
        "requests_failed": seen.requests_failed,
        "longest_request_seconds": round(seen.longest_request_seconds, 2),
        "steps_seconds": {key: round(value, 2) for key, value in seconds.items()},
    }


@contextmanager
def _clients(stage: Stage, record: str) -> Iterator[Clients]:
    with Clients(
        stage.children, stage.front_url, stage.directory / record, per_second=60, workers=8
    ) as clients:
        yield clients


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))

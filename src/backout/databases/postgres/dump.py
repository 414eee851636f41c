"""Writes a database into a folder with pg_dump, and what stood in the very same snapshot."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from datetime import UTC
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from backout.databases.postgres.beside import server_now
from backout.databases.postgres.catalog import schema_in_snapshot
from backout.databases.postgres.chosen import Chosen, choose
from backout.databases.postgres.cluster import Cluster, server_version
from backout.databases.postgres.counts import Rows, count
from backout.databases.postgres.dumps.size import unpacked_size
from backout.databases.postgres.dumps.unpack import Damaged
from backout.databases.postgres.heads import migration_head
from backout.databases.postgres.programs import (
    SETTINGS,
    Programs,
    die_with_parent,
    environment,
    find_programs,
)
from backout.databases.restores import Dumped
from backout.errors import NotPossible
from backout.faults import fault_point
from backout.message import msg

if TYPE_CHECKING:
    import psycopg

    from backout.databases.restores import Note

_CONNECT_S = 30.0
_COUNT_AT_LEAST_S = 10.0
_POLL_S = 0.2
_NOTE_EVERY_S = 5.0
_COMPRESSION = 1
# gzip seldom makes table data smaller than a tenth.
_SMALLEST_SHARE = 10
_FLOOR_BYTES = 32 * 1024 * 1024

_SNAPSHOT = """
SELECT pg_export_snapshot(), now(), current_database()::text, pg_database_size(current_database()),
       (SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint FROM pg_class c
        WHERE c.relkind IN ('r', 'm') AND c.oid >= 16384)"""


def dump(cluster: Cluster, to: Path, *, jobs: int, note: Note, tables: tuple[str, ...] = ()) -> Dumped:
    """Write the live database into the new folder `to`, from one snapshot; of `tables` alone the rows, if there are any.

    Raises:
        NotPossible: The disk is too full, or pg_dump failed; its own words are in it. What is in the folder then
            is no backup.
    """
    import psycopg

    with cluster.connector.session(_CONNECT_S) as connection:
        version = server_version(connection)
        programs = find_programs(cluster.programs, version)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            connection.execute("SET LOCAL statement_timeout = 0")
            snapshot, taken_at, database, size, table_bytes = connection.execute(_SNAPSHOT).fetchall()[0]
            only = choose(connection, tables, cluster.schemas) if tables else None
            if only is not None:
                table_bytes, size = only.table_bytes, only.total_bytes
            _refuse_a_full_disk(to, table_bytes)
            note(
                msg(
                    "Dumping {database}: {size} bytes, {jobs} at a time",
                    database=database,
                    size=size,
                    jobs=jobs,
                )
            )
            with tempfile.TemporaryFile() as words:
                process = _start(cluster, programs, to, snapshot, jobs, words, only)
                try:
                    schema = schema_in_snapshot(connection, cluster.schemas)
                    head = migration_head(connection)
                    began_s = time.monotonic()
                    _wait(process, to, words, note, cluster)
                    rows = _rows(connection, cluster, time.monotonic() - began_s, only)
                finally:
                    _end(process)
            finished_at = server_now(connection)
    fault_point("dump.after")
    return Dumped(
        database=database,
        taken_at=taken_at.astimezone(UTC),
        finished_at=finished_at,
        server_version=version,
        dump_version=programs.version,
        migration_head=head,
        schema_fingerprint=schema.fingerprint,
        rows={name: found.rows for name, found in rows.items()},
        rows_exact=all(found.exact for found in rows.values()),
        database_bytes=size,
        unpacked_bytes=_unpacked(to, jobs),
    )


def _rows(
    connection: psycopg.Connection[Any], cluster: Cluster, dumped_s: float, only: Chosen | None
) -> dict[str, Rows]:
    """Count in the same snapshot, for no longer than the dump took; the rest are estimates."""
    until_s = time.monotonic() + max(_COUNT_AT_LEAST_S, dumped_s)
    tables = None if only is None else only.tables
    return count(connection, cluster.schemas, until_s=until_s, tables=tables)


def _unpacked(to: Path, jobs: int) -> int:
    try:
        return unpacked_size(to, jobs)
    except Damaged as error:
        raise _failed(error.why) from None
    except OSError as error:
        raise _failed(
            msg("{path}: {why}", path=str(to), why=error.strerror or type(error).__name__)
        ) from None


def _refuse_a_full_disk(to: Path, table_bytes: int) -> None:
    free = shutil.disk_usage(to.parent).free
    needed = table_bytes // _SMALLEST_SHARE + _FLOOR_BYTES
    if free < needed:
        raise NotPossible(
            msg(
                "The disk of {folder} is too full for this dump: {free} bytes are free, it needs {needed} at least",
                folder=str(to.parent),
                free=free,
                needed=needed,
            ),
            state=msg("Nothing was written."),
            next_command=f"df -h {to.parent}",
        )


def _start(
    cluster: Cluster,
    programs: Programs,
    to: Path,
    snapshot: str,
    jobs: int,
    words: IO[bytes],
    only: Chosen | None,
) -> subprocess.Popen[bytes]:
    text, env = environment(cluster.connector, SETTINGS)
    # pg_dump makes the folder itself, or takes an empty one.
    command = [programs.path("pg_dump"), "--format=directory", f"--jobs={jobs}", f"--file={to}"]
    command += [f"--snapshot={snapshot}", f"--compress={_COMPRESSION}", "--no-password"]
    command += [f"--lock-wait-timeout={round(cluster.connector.lock_timeout_s * 1000)}", f"--dbname={text}"]
    command += only.options if only is not None else ()
    fault_point("dump.start.before")
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=words,
        stderr=words,
        env=env,
        cwd=to.parent,
        preexec_fn=die_with_parent,
    )
    fault_point("dump.start.after")
    return process


def _wait(process: subprocess.Popen[bytes], to: Path, words: IO[bytes], note: Note, cluster: Cluster) -> None:
    next_note_s = time.monotonic() + _NOTE_EVERY_S
    while True:
        try:
            code = process.wait(_POLL_S)
            break
        except subprocess.TimeoutExpired:
            free = shutil.disk_usage(to.parent).free
            if free < _FLOOR_BYTES:
                raise _failed(msg("the disk of {folder} is full", folder=str(to.parent))) from None
            if time.monotonic() >= next_note_s:
                written = sum(f.stat().st_size for f in to.glob("*") if f.is_file())
                note(msg("Dumped {written} bytes so far", written=written))
                next_note_s += _NOTE_EVERY_S
    if code:
        words.seek(0)
        said = cluster.connector.redactor.text(" ".join(words.read().decode(errors="replace").split()))[-800:]
        raise _failed(msg("pg_dump ended with {code}: {said}", code=code, said=said))


def _failed(why: object) -> NotPossible:
    return NotPossible(
        msg("The database could not be dumped: {why}", why=str(why)),
        state=msg("No backup was made; the database is untouched."),
        next_command="backout doctor",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()

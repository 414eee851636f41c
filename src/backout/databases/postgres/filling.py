"""The commands that fill a new database from a backup, whatever the backup's format."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from backout.backup import BackupFormat, RestoreOrder
from backout.databases.postgres.cluster import Cluster
from backout.databases.postgres.dumps.checked import checked_sql
from backout.databases.postgres.dumps.rules import Terms
from backout.databases.postgres.programs import SETTINGS, Programs, environment
from backout.errors import NotPossible
from backout.message import msg

# Nothing waits for a restore's own commits: the last one, which says that it is whole, is durable, and with it all
# before it. Source: PostgreSQL 15 documentation, 30.4 "Asynchronous Commit".
_SETTINGS = {**SETTINGS, "synchronous_commit": "off"}
_TIMEOUT_SETTING_SINCE = 17
_PIECE_BYTES = 1 << 20
# Of single tables their keys and indexes are wanted, but nothing that needs another table's rows.
_NOT_OF_TABLES = re.compile(
    r"^\d+; \d+ \d+ (FK CONSTRAINT|TRIGGER|EVENT TRIGGER|MATERIALIZED VIEW DATA|PUBLICATION|BLOBS|BLOB) "
)
_TABLE_DATA = re.compile(r"^\d+; \d+ \d+ TABLE DATA (.*)$")


class Filling(NamedTuple):
    """One program that fills the database.

    Attributes:
        text: What goes to its standard input; None: it reads the backup itself.
        tolerated: An error that does not count, should the program say no other.
    """

    command: list[str]
    env: dict[str, str]
    text: Callable[[], Iterator[bytes]] | None = None
    tolerated: str | None = None


def filling(
    cluster: Cluster, programs: Programs, order: RestoreOrder, server_major: int, folder: Path
) -> Filling:
    """Return the program that fills the database; `folder` takes its list of entries where only some are wanted."""
    conninfo, env = environment(cluster.connector.to(order.database), _SETTINGS)
    if order.format in (BackupFormat.PLAIN, BackupFormat.PLAIN_GZIP):
        terms, restricted = Terms(order.live, server_major), programs.knows_restrict
        return Filling(
            _psql(programs, conninfo),
            env,
            lambda: checked_sql(Path(order.path), order.format, order.identity, terms, restricted=restricted),
        )
    wanted = _wanted(programs, order, folder)
    if order.max_bytes_per_s is not None:
        # Several processes that read for themselves cannot be slowed down; a single stream can.
        return Filling(_psql(programs, conninfo), env, lambda: _as_text(programs, order, wanted))
    command = [programs.path("pg_restore"), f"--jobs={order.jobs}", "--no-subscriptions", "--no-password"]
    command += [*wanted, f"--dbname={conninfo}", order.path]
    if programs.major >= _TIMEOUT_SETTING_SINCE > server_major:
        # It sets transaction_timeout in any case, which an older server does not know.
        return Filling(command, env, tolerated='"transaction_timeout"')
    return Filling([command[0], "--exit-on-error", *command[1:]], env)


def analysing(cluster: Cluster, programs: Programs, order: RestoreOrder) -> Filling:
    """Return the program that gathers statistics, without which the first queries would be slow."""
    conninfo, env = environment(cluster.connector.to(order.database), _SETTINGS)
    if (programs.folder / "vacuumdb").exists():
        command = [
            programs.path("vacuumdb"),
            "--analyze-only",
            f"--jobs={order.jobs}",
            "--quiet",
            "--no-password",
        ]
        return Filling([*command, f"--dbname={conninfo}"], env)
    return Filling([*_psql(programs, conninfo), "--command=ANALYZE"], env)


def _psql(programs: Programs, conninfo: str) -> list[str]:
    return [programs.path("psql"), "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1",
            "--output=/dev/null", f"--dbname={conninfo}"]  # fmt: skip


def _as_text(programs: Programs, order: RestoreOrder, wanted: list[str]) -> Iterator[bytes]:
    command = [programs.path("pg_restore"), "--no-subscriptions", *wanted, "--file=-", order.path]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            while piece := process.stdout.read(_PIECE_BYTES):
                yield piece
        except GeneratorExit:
            process.kill()
            raise
    if process.returncode:
        raise OSError(f"pg_restore ended with {process.returncode}")


def _wanted(programs: Programs, order: RestoreOrder, folder: Path) -> list[str]:
    """Return the options that restrict a restore to the rows of the tables that are wanted."""
    if not order.tables:
        return []
    told = subprocess.run(
        [programs.path("pg_restore"), "--list", order.path], capture_output=True, text=True, check=False
    )
    if told.returncode:
        raise _unreadable(order, told.stderr)
    names = {table.replace(".", " ", 1) + " " for table in order.tables}
    kept, missing = [], set(names)
    for line in told.stdout.splitlines():
        data = _TABLE_DATA.match(line)
        if data is not None:
            mine = {name for name in names if data[1].startswith(name)}
            missing -= mine
            if not mine:
                continue
        if not _NOT_OF_TABLES.match(line):
            kept.append(line)
    if missing:
        raise _unreadable(order, f"it has no rows of {', '.join(sorted(m.strip() for m in missing))}")
    file = folder / "entries"
    file.write_text("\n".join(kept) + "\n")
    return [f"--use-list={file}"]


def _unreadable(order: RestoreOrder, why: str) -> NotPossible:
    return NotPossible(
        msg("{backup} cannot be restored: {why}", backup=order.backup, why=" ".join(why.split())[-500:]),
        state=msg("The live database is untouched."),
        next_command="backout backup verify",
    )

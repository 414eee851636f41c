"""Makes a new database beside the live one and starts the process that fills it; says how far it is.

The process holds an advisory lock in the maintenance database as long as it lives (`restoring.py`). So from any
machine it can be told whether a database that is being restored still has somebody who restores it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backout.backup import BackupFormat, BesideDatabase, BesideState, RestoreOrder
from backout.databases.postgres.beside import (
    Mark,
    described,
    drop_found,
    look,
    server_now,
    write_mark,
)
from backout.databases.postgres.carried import At, changes, create_statement, made_with
from backout.databases.postgres.cluster import (
    RESTORE_LOCK,
    Cluster,
    locked,
    named,
    no_database,
    server_version,
)
from backout.databases.postgres.creating import lacking_right
from backout.databases.postgres.programs import find_programs
from backout.databases.postgres.watching import lag_bytes, refuse_too_much_wal
from backout.document import Document, digest_of
from backout.errors import CredentialsRefused, NotPossible, Refused, StepFailed
from backout.faults import fault_point
from backout.launch import Job, holder, tail
from backout.message import msg

if TYPE_CHECKING:
    import psycopg

    from backout.databases.postgres.connect import Connector

_LONG_S = 3600.0
_BEGIN_WITHIN_S = 20.0
_POLL_S = 0.02
PASSWORD, OTHER_PASSWORD = "BACKOUT_PASSWORD", "BACKOUT_OTHER_PASSWORD"
"""Tell the process that restores the passwords in the addresses: PGPASSWORD would stand for both servers."""
_FAILED = "failed.json"
"""Says why a restore failed, once its database is gone."""


class Task(Document):
    """What the process that restores is told, in a file that only its user can read.

    Attributes:
        conninfo: To the live database, without the password.
        other: To the other server that it is restored on, without the password; None: it is the same one.
        oid: Number of the new database: should another one have its name by now, nothing is done.
    """

    order: RestoreOrder
    conninfo: str
    other: str | None
    maintenance: str
    programs: str
    schemas: tuple[str, ...] | None
    oid: int
    run: str | None
    connect_timeout_s: float
    lock_timeout_s: float


def free_bytes(path: str | None) -> int | None:
    """Return the free bytes of the disk on which that path lies; None: it is not on this machine, or not known."""
    if path is None:
        return None
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def restore_state(cluster: Cluster, name: str) -> BesideDatabase:
    """Return how far a database is; one that failed was dropped, and says why."""
    job = _job(cluster, name)
    begins = job.running()  # it takes its lock a moment later; asked first, for it may end meanwhile
    home = cluster.home(cluster.live, name)
    with cluster.maintenance(of=name) as connection:
        held = locked(connection, RESTORE_LOCK)
        found = look(connection, cluster.live, name, home=home, sizes=True)
        if found:
            return described(found[0], {found[0].oid: 0} if begins else held, cluster.elsewhere(name))
    try:
        return BesideDatabase.model_validate_json((job.folder / _FAILED).read_text())
    except (OSError, ValueError):
        return BesideDatabase(name=name, oid=0, state=BesideState.ABSENT, accepts=False)


def start_restore(cluster: Cluster, order: RestoreOrder, run: str | None) -> None:
    """Make the new database and start the process that restores into it, unless that is done or goes on.

    Idempotent: what was cut short, or failed, is dropped and begun anew.

    Raises:
        NotPossible: Too little space, no programs, what is to be watched is hidden, or the process does not start.
        StepFailed: There is more WAL than allowed already.
        CredentialsRefused: The role may not create databases.
        Refused: There is a database of that name that is something else, or this run has swapped it in already.
    """
    state = restore_state(cluster, order.database)
    if state.state is BesideState.RESTORED and state.identity == order.identity:
        return
    if state.state is BesideState.RESTORING and state.identity == order.identity:
        return
    if state.state in (BesideState.RESTORED, BesideState.KEPT, BesideState.RESTORING):
        raise Refused(
            msg("{name} is there already: {state}, of {backup}", name=order.database, state=state.state.value,
                backup=state.backup or "no backup"),
            state=msg("Nothing was changed."),
            next_command="backout status",
        )  # fmt: skip
    _refuse_a_full_disk(order)
    _refuse_some_tables_of_text(order)
    stop_restore(cluster, order.database)
    _refuse_a_second(cluster, order, run)
    with cluster.both(order.live, None, _LONG_S) as (there, connection, home):
        connection.execute("SELECT set_config('statement_timeout', %s, false)", (str(round(_LONG_S * 1000)),))
        programs = find_programs(cluster.programs, server_version(connection))
        if order.max_replica_lag_bytes is not None:
            lag_bytes(connection)  # raises where it cannot be seen
        refuse_too_much_wal(connection, order)
        _refuse_a_stranger(connection, cluster, order.database, home)
        if look(connection, cluster.live, order.database, home=home):
            drop_found(connection, order.database)
        oid = _create(there, connection, order, run, home)
        _launch(connection, cluster, _task(cluster, order, run, oid, programs.folder))


def stop_restore(cluster: Cluster, name: str) -> None:
    """End the process that restores into that database, wherever it runs. Idempotent."""
    job = _job(cluster, name)
    held = holder(job.folder / "lock")
    if held is not None and held.pid is not None:
        with suppress(ProcessLookupError):
            os.killpg(held.pid, signal.SIGKILL)  # the launcher leads a session of its own
    home = cluster.home(cluster.live, name)
    with cluster.maintenance(of=name) as connection:
        ends_s = time.monotonic() + _BEGIN_WITHIN_S
        while (pid := _restoring(connection, cluster.live, name, home)) is not None:
            if time.monotonic() > ends_s:
                raise StepFailed(
                    msg("The restore into {name} could not be ended (session {pid})", name=name, pid=pid),
                    state=msg("It goes on; the live database is untouched."),
                    next_command="backout status",
                )
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
            time.sleep(_POLL_S)


def forget_failed(cluster: Cluster, name: str) -> None:
    """Forget why the restore into that database failed: nobody waits for it any more. Idempotent."""
    (_job(cluster, name).folder / _FAILED).unlink(missing_ok=True)


def job_folder(cluster: Cluster, name: str) -> Path:
    """Return where the process of a restore keeps what belongs to it."""
    return cluster.folder / f"restore-{digest_of(name)[7:19]}"


def _job(cluster: Cluster, name: str) -> Job:
    return Job(job_folder(cluster, name))


def _restoring(connection: psycopg.Connection[Any], live: str, name: str, home: str | None) -> int | None:
    found = look(connection, live, name, home=home)
    return locked(connection, RESTORE_LOCK).get(found[0].oid) if found else None


def _refuse_a_full_disk(order: RestoreOrder) -> None:
    free = free_bytes(order.space_path)
    if order.needed_bytes is None or free is None:
        return
    needed = order.needed_bytes + order.min_free_bytes
    if free < needed:
        raise NotPossible(
            msg(
                "The disk of {path} is too full to restore {backup}: {free} bytes are free, it needs {needed}",
                path=order.space_path,
                backup=order.backup,
                free=free,
                needed=needed,
            ),
            state=msg("Nothing was created."),
            next_command=f"df -h {order.space_path}",
        )


def _refuse_some_tables_of_text(order: RestoreOrder) -> None:
    if order.tables and order.format in (BackupFormat.PLAIN, BackupFormat.PLAIN_GZIP):
        raise NotPossible(
            msg("{backup} is SQL text: single tables cannot be taken out of it", backup=order.backup),
            state=msg("Nothing was created."),
            next_command="backout backup list  # a backup of another format, or all tables",
        )


def _refuse_a_stranger(
    connection: psycopg.Connection[Any], cluster: Cluster, name: str, home: str | None
) -> None:
    if name in named(connection, name) and not look(connection, cluster.live, name, home=home):
        raise Refused(
            msg("There is a database {name} that backout did not make", name=name),
            state=msg("Nothing was changed."),
            next_command="backout status",
        )


def _refuse_a_second(cluster: Cluster, order: RestoreOrder, run: str | None) -> None:
    """Refuse to begin anew what this run swapped in already: whoever asks for it was asleep meanwhile."""
    with cluster.everywhere() as servers:
        there = [f for connection, home in servers for f in look(connection, cluster.live, home=home)]
    for found in there:
        mark = found.mark
        if mark is not None and mark.state == "kept" and run is not None and mark.run == run:
            raise Refused(
                msg("{name} was made live by run {run} already", name=order.database, run=run),
                state=msg("Nothing was changed; {kept} is what was live before.", kept=found.name),
                next_command="backout status",
            )


def _create(
    there: psycopg.Connection[Any],
    connection: psycopg.Connection[Any],
    order: RestoreOrder,
    run: str | None,
    home: str | None,
) -> int:
    """Create the database closed, mark it, and open it: without a mark nobody can have put anything into it.

    Args:
        there: A session with the live database's server.
        connection: A session with the server on which it is made.
        order: What is restored into it.
        run: The run that makes it.
        home: As in `Mark`.
    """
    from psycopg import errors, sql

    live = named(there, order.live).get(order.live)
    made = made_with(At(there, live.oid)) if live else None
    if live is None or made is None:
        raise no_database(order.live)
    fault_point("restore.create.before")
    try:
        connection.execute(create_statement(order.database, made))
    except errors.InsufficientPrivilege as error:
        lacking = lacking_right(connection, made)
        raise CredentialsRefused(
            msg("A database cannot be created: {why}", why=str(error.diag.message_primary)),
            state=msg("Nothing was created."),
            next_command=f"{lacking.by_hand}  # as an administrator" if lacking else "backout doctor",
        ) from None
    fault_point("restore.create.after")
    oid = named(connection, order.database)[order.database].oid
    mark = Mark(
        state="restoring",
        live=order.live,
        since=server_now(connection),
        backup=order.backup,
        identity=order.identity,
        run=run,
        home=home,
    )
    write_mark(connection, order.database, mark)
    fault_point("restore.mark.after")
    with connection.transaction():
        _carry_what_is_allowed(order.database, At(connection, oid), At(there, live.oid))
        open_it = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true")
        connection.execute(open_it.format(sql.Identifier(order.database)))
    fault_point("restore.open.after")
    return oid


def _carry_what_is_allowed(name: str, database: At, live: At) -> None:
    """Carry rights and settings; what this role may not carry is told when the database is checked."""
    import psycopg

    for change in changes(name, database, live):
        with suppress(psycopg.Error), database.connection.transaction():
            database.connection.execute(change.statement)


def _task(cluster: Cluster, order: RestoreOrder, run: str | None, oid: int, programs: Path) -> Task:
    conninfo, _ = cluster.connector.for_programs({})
    other = cluster.connector.other
    return Task(
        order=order,
        conninfo=conninfo,
        other=other.connector.for_programs({})[0] if other is not None else None,
        maintenance=cluster.maintenance_name,
        programs=str(programs),
        schemas=cluster.schemas,
        oid=oid,
        run=run,
        connect_timeout_s=cluster.connector.connect_timeout_s,
        lock_timeout_s=cluster.connector.lock_timeout_s,
    )


def _handed_over(variable: str, connector: Connector) -> dict[str, str]:
    """Return the password in a server's address, under that name; empty: it has none."""
    password = connector.for_programs({})[1].get("PGPASSWORD")
    return {variable: password} if password else {}


def _launch(connection: psycopg.Connection[Any], cluster: Cluster, task: Task) -> None:
    job = _job(cluster, task.order.database)
    job.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in (_FAILED, "task.json"):
        (job.folder / old).unlink(missing_ok=True)
    job.forget()
    file = job.folder / "task.json"
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:  # noqa: PTH123
        out.write(task.model_dump_json())
    connector, other = cluster.connector, cluster.connector.other
    secret = _handed_over(PASSWORD, connector)
    secret |= _handed_over(OTHER_PASSWORD, other.connector) if other is not None else {}
    command = [sys.executable, "-P", "-m", "backout.databases.postgres.restoring", str(file)]
    fault_point("restore.launch.before")
    started = job.start(
        command,
        cwd=job.folder,
        env={**os.environ, **secret},
        label=task.order.database,
        secrets=secret.values(),
    )
    fault_point("restore.launch.after")
    ends_s = time.monotonic() + _BEGIN_WITHIN_S
    while task.oid not in locked(connection, RESTORE_LOCK) and job.exit() is None:
        if time.monotonic() > ends_s or not (started or job.running()):
            raise NotPossible(
                msg(
                    "The process that restores did not start: {words}",
                    words=tail(job.log) or "it said nothing",
                ),
                state=msg("{name} is there, and empty.", name=task.order.database),
                next_command="backout doctor",
            )
        time.sleep(_POLL_S)

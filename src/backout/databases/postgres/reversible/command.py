"""Runs a user's migration command behind the proxy, and ends the migration in the journal however the command ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from backout import foreground
from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.after import finish
from backout.databases.postgres.reversible.alone import alone
from backout.databases.postgres.reversible.fingerprint import read_digests
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.keeper import Kept, ReversibleKeeper
from backout.databases.postgres.reversible.link import DirectLink, Link
from backout.databases.postgres.reversible.past import Stands, history_moved, schema_moved
from backout.databases.postgres.reversible.proxy.server import MISLEADING, Proxy
from backout.databases.postgres.reversible.proxy.upstream import Upstream
from backout.databases.postgres.reversible.rows.capture import Capture
from backout.faults import fault_point
from backout.migration import Unfinished, WouldRefuse

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class Launch:
    """How a command is run, and what keeps its sessions."""

    run: foreground.Run = foreground.run
    keeper: Callable[[Kept], ReversibleKeeper] = ReversibleKeeper


USUAL = Launch()


@dataclass(slots=True)
class Ran:
    """How a command ended.

    Attributes:
        migration: Number in the journal; None: nothing was journalled.
        exit_status: The command's; of one that a signal ended 128 and the signal's number, as a shell says it.
        connections: How many sessions came through.
        entries: What was journalled.
        unseen: The schema, or the history of a tool, is another one than what came through has made of it.
        failures: What went wrong in the proxy.
        unfinished: What was to be built afterwards, and failed.
        refused: What would have been refused, if it was only observed.
    """

    migration: int | None
    exit_status: int
    connections: int
    entries: list[Entry]
    unseen: bool
    failures: list[str] = field(default_factory=list)
    unfinished: tuple[Unfinished, ...] = ()
    refused: tuple[WouldRefuse, ...] = ()


def run_command(
    link: DirectLink,
    upstream: Upstream,
    argv: Sequence[str],
    *,
    told: str,
    release: str | None,
    fingerprint: Callable[[], str],
    answers: Mapping[str, str],
    connect: Callable[[], Link],
    variables: Sequence[str] = (),
    accept: Collection[str] = (),
    launch: Launch = USUAL,
) -> Ran:
    """Run a command whose connections go through the proxy.

    Args:
        link: A session of our own, in autocommit.
        upstream: The database, as the command would have reached it.
        argv: The command.
        told: The command for the journal, without secrets.
        release: Version that it belongs to.
        fingerprint: Returns that of the schema as it stands.
        answers: What nobody can compute, by ``table.column``.
        connect: Opens another session of our own.
        variables: Further environment variables that get the proxy's URL.
        accept: What is accepted by name.
        launch: How it is run.

    Raises:
        Busy: Another migration runs in this database.
        OSError: The command cannot be started.
    """
    alone(link)
    in_transaction(link, journal.install)
    before = Stands.now(link)
    whole = in_transaction(link, read_digests)
    kept = Kept(
        journal.begin(link, release, told, fingerprint(), whole), connect, dict(answers), accept=accept
    )
    fault_point("migrate.begun")
    state = "failed"
    try:
        with Proxy(upstream, lambda: launch.keeper(kept)) as proxy:
            status = launch.run(argv, environment(proxy, variables))
        fault_point("migrate.ran")
        state = "applied" if status == 0 else "failed"
    finally:
        entries = _ended(link, kept.migration, state)
    fault_point("migrate.ended")
    after = Stands.now(link)
    rows = [one.operation for one in entries if one.kind == "rows"]
    unseen = schema_moved(before, after, kept.meanwhile) or history_moved(before, after, rows)
    Capture(link, kept.migration).remove()
    unfinished = finish(link).unfinished
    if entries:
        # A session that has ended meanwhile is told as that, and not as a database that could not be reached before.
        link.rows("SELECT 1")
        journal.left_schema(link, kept.migration, fingerprint(), in_transaction(link, read_digests))
    found = [f"{type(bug).__name__}: {bug}" for bug in proxy.failures]
    return Ran(
        kept.migration if entries else None, status, proxy.connections, entries, unseen, found, unfinished
    )


def in_transaction(link: Link, work: Callable[[Link], _Made]) -> _Made:
    """Do something in a transaction of its own."""
    link.rows("BEGIN")
    try:
        made = work(link)
    except BaseException:
        link.rows("ROLLBACK")
        raise
    link.rows("COMMIT")
    return made


def _ended(link: Link, migration: int, state: str) -> list[Entry]:
    """Journal the end; a command that changed nothing leaves no trace."""
    entries = journal.entries(link, (migration,), "applied")
    if entries:
        journal.end(link, migration, state)
    else:
        journal.forget(link, migration)
    return entries


def environment(proxy: Proxy, variables: Sequence[str]) -> dict[str, str]:
    """Return the environment of a command that is to find the database through the proxy."""
    leading = proxy.environment()
    kept = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    return kept | leading | dict.fromkeys(variables, leading["DATABASE_URL"])

"""The way back of migrations, and forward again: one short transaction, and what may take long after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.effects import effect
from backout.databases.postgres.reversible.hide import NotHidden
from backout.databases.postgres.reversible.journal import Entry, Migration
from backout.databases.postgres.reversible.link import Link, LinkError
from backout.databases.postgres.reversible.locks import locked
from backout.databases.postgres.reversible.names import SCHEMA
from backout.databases.postgres.reversible.work import Moved, Work


class NotReversible(Exception):
    """The migrations cannot be taken back, or made again; nothing was changed. The message says why."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Something that had to be done after the COMMIT and did not succeed.

    Attributes:
        statement: What it was.
        why: What PostgreSQL said.
    """

    statement: str
    why: str


@dataclass(slots=True)
class Outcome:
    """What was done.

    Attributes:
        migrations: Whose, in the order in which they were worked on.
        statements: What was run in the transaction.
        later: What is to be run, or was, after it.
        unfinished: What of that failed.
        residues: What stays visible, for it cannot be taken away.
    """

    migrations: tuple[int, ...]
    statements: list[str]
    later: list[str]
    unfinished: list[Unfinished] = field(default_factory=list)
    residues: list[str] = field(default_factory=list)


def undo(link: Link, migrations: Sequence[Migration], *, patience_s: float, dry_run: bool = False) -> Outcome:
    """Take migrations back, the newest first.

    Args:
        link: A session in autocommit.
        migrations: Applied or failed ones; every later one that is applied must be among them.
        patience_s: Seconds to go on asking for the locks.
        dry_run: Do it and roll it back.

    Raises:
        Locked: The tables are in use.
        NotReversible: Something was changed behind it.
    """
    chosen = tuple(sorted((m.id for m in migrations), reverse=True))
    return _work(link, chosen, ("applied",), "undone", patience_s=patience_s, dry_run=dry_run)


def redo(link: Link, migrations: Sequence[Migration], *, patience_s: float, dry_run: bool = False) -> Outcome:
    """Make migrations again that were taken back, the oldest first; arguments and errors as of `undo`."""
    chosen = tuple(sorted(m.id for m in migrations))
    return _work(link, chosen, ("undone",), "applied", patience_s=patience_s, dry_run=dry_run)


def finish(link: Link, outcome: Outcome) -> None:
    """Run what was left for after the COMMIT: constraints are proven, indexes built. Each may be run again."""
    for statement in outcome.later:
        try:
            link.rows(statement)
        except LinkError as error:
            outcome.unfinished.append(Unfinished(statement, str(error)))


def _work(
    link: Link,
    chosen: tuple[int, ...],
    from_states: tuple[str, ...],
    to: str,
    *,
    patience_s: float,
    dry_run: bool,
) -> Outcome:
    entries = journal.entries(link, chosen, *from_states)
    tables = sorted(_tables(entries))
    locked(link, tables, patience_s=patience_s)
    work = Work(link, tables)
    outcome = Outcome(chosen, work.done, work.later)
    try:
        for migration in chosen:
            _one(work, [e for e in entries if e.migration == migration], to)
            link.rows(f"UPDATE {SCHEMA}.migration SET state = '{to}' WHERE id = {migration}")
    except (Moved, NotHidden, LinkError) as error:
        link.rows("ROLLBACK")
        raise NotReversible(str(error)) from error
    link.rows("ROLLBACK" if dry_run else "COMMIT")
    outcome.residues = [
        f"{e.operation['called']}: {e.operation['label']}" for e in entries if e.operation.get("residue")
    ]
    return outcome


def _one(work: Work, entries: list[Entry], to: str) -> None:
    """Work on the transactions of one migration."""
    back = to == "undone"
    parts = groupby(sorted(entries, key=lambda e: (e.part, e.id), reverse=back), key=lambda e: e.part)
    for _part, group in parts:
        ordered = sorted(group, key=lambda e: effect(e.kind).down_at if back else effect(e.kind).redo_at)
        for entry in ordered:
            does = effect(entry.kind)
            operation = (does.down if back else does.redo)(work, entry.id, dict(entry.operation))
            journal.write(work.link, Entry(entry.id, entry.migration, entry.part, entry.kind, operation, to))
        while work.at_end:
            work.at_end.pop(0)()


def _tables(entries: list[Entry]) -> set[int]:
    """Return the oids of the tables that the work touches."""
    found: set[int] = set()
    for entry in entries:
        found |= _tables_in(entry.operation)
        if entry.operation.get("of") == "table":
            found.add(entry.operation["oid"])
    return found


def _tables_in(operation: object) -> set[int]:
    if isinstance(operation, dict):
        own = {v for k, v in operation.items() if k in ("table", "to_table") and isinstance(v, int) and v}
        return own.union(*(_tables_in(value) for value in operation.values()))
    if isinstance(operation, list):
        return set().union(*(_tables_in(value) for value in operation))
    return set()

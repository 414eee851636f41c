"""The way back of migrations, and forward again: one short transaction, and what may take long after it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import NamedTuple

from backout.databases.postgres.by_hand import psql
from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.ahead import why_not
from backout.databases.postgres.reversible.answer_tried import answer_tried
from backout.databases.postgres.reversible.apart import apart
from backout.databases.postgres.reversible.asking import Asking
from backout.databases.postgres.reversible.budget import over_budget
from backout.databases.postgres.reversible.catalog import alone, read_alone
from backout.databases.postgres.reversible.commit import commit
from backout.databases.postgres.reversible.due import due
from backout.databases.postgres.reversible.effects import effect
from backout.databases.postgres.reversible.hide import NotHidden
from backout.databases.postgres.reversible.journal import Entry, Migration
from backout.databases.postgres.reversible.last_read import LastRead
from backout.databases.postgres.reversible.link import Link, LinkError, LinkLost
from backout.databases.postgres.reversible.locks import LOCK_MS, Numbered, under_locks
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.databases.postgres.reversible.readdressed import of_function, readdressed
from backout.databases.postgres.reversible.ready import get_ready
from backout.databases.postgres.reversible.remedies import told_of
from backout.databases.postgres.reversible.repaired_ahead import why_not_repaired
from backout.databases.postgres.reversible.rows.entries import Unreadable
from backout.databases.postgres.reversible.rows.report import RowsReport, sum_of
from backout.databases.postgres.reversible.rows.store import first_logged
from backout.databases.postgres.reversible.rows_of_way import RowsOfWay, writes_made
from backout.databases.postgres.reversible.since import rows_since
from backout.databases.postgres.reversible.snapshot import Snapshot
from backout.databases.postgres.reversible.told_late import told_late
from backout.databases.postgres.reversible.touched_tables import tables_of
from backout.databases.postgres.reversible.views import oid_of
from backout.databases.postgres.reversible.violators import in_the_way, violators
from backout.databases.postgres.reversible.work import Moved, Work
from backout.faults import fault_point
from backout.migration import LOCK_BUDGET_MS
from backout.migration_status import RowsSince
from backout.migration_way import Part

_LAST_TURN = 100


class NotReversible(Exception):
    """The migrations cannot be taken back, or made again; nothing was changed. The message says why.

    Attributes:
        next_command: What to type next.
    """

    def __init__(self, why: str, *, next_command: str = "backout db history") -> None:
        super().__init__(why)
        self.next_command = next_command


@dataclass(slots=True)
class Outcome:
    """What was done.

    Attributes:
        migrations: Whose, in the order in which they were worked on.
        statements: What was run in the transaction.
        seconds: How long its locks were held.
        later: What would be run after it, where all is only tried.
        residues: What is not as it was before, for people.
        rows: What was done to rows that the migrations had changed; None: they had changed none.
        over_budget: Of a dry run: what would hold the locks for longer than they may be.
    """

    migrations: tuple[int, ...]
    statements: list[str]
    later: list[str]
    seconds: float = 0
    residues: list[str] = field(default_factory=list)
    rows: RowsReport | None = None
    over_budget: list[str] = field(default_factory=list)


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """Return several ways as one; its locks were held as long as the longest one's."""
    reports = [one.rows for one in outcomes if one.rows is not None]
    return Outcome(
        tuple(number for one in outcomes for number in one.migrations),
        [statement for one in outcomes for statement in one.statements],
        [statement for one in outcomes for statement in one.later],
        max(one.seconds for one in outcomes),
        [residue for one in outcomes for residue in one.residues],
        sum_of(reports) if reports else None,
    )


def undo(
    link: Link,
    migrations: Sequence[Migration],
    *,
    patience_s: float,
    dry_run: bool = False,
    part: Part = Part.ALL,
    ahead: bool = True,
    answers: Mapping[str, str] | None = None,
    budget_ms: float = LOCK_BUDGET_MS,
) -> Outcome:
    """Take migrations back, the newest first.

    Args:
        link: A session in autocommit.
        migrations: Applied or failed ones; every later one that is applied must be among them.
        patience_s: Seconds to go on asking for the locks.
        dry_run: Do it and roll it back.
        part: Of their changes; with a part of them left, a migration stays in its state.
        ahead: Many values may be computed before the locks are taken, in batches: nobody waits for this.
        answers: What becomes of rows that violate what comes back, or have values that it cannot hold; for this way alone.
        budget_ms: For how long the locks may be held: what would take longer is done before them, or, in a dry run, is told.

    Raises:
        Locked: The tables are in use.
        NotReversible: Something was changed behind it, or an answer is of no use.
        CommitUnanswered: It is not known whether it was committed.
    """
    _refuse_elsewhere(migrations)
    chosen = tuple(sorted((m.id for m in migrations), reverse=True))
    entries = of_part(journal.entries(link, chosen, "applied"), part)
    now = read_alone(link, sorted(tables_of(link, chosen, entries)))
    if answers:
        entries = _answered(link, now, entries, answers)
    _refuse_violators(link, now, entries)
    if not dry_run:
        _get_ready(link, entries, ahead=ahead, budget_ms=budget_ms)
    outcome = _moved(
        link, chosen, entries, _Turn("applied", "undone", part), patience_s=patience_s, dry_run=dry_run
    )
    if dry_run:
        outcome.over_budget = exceeding(now, entries, rows_since(Asking(link), now, entries), budget_ms)
    return outcome


def redo(
    link: Link,
    migrations: Sequence[Migration],
    *,
    patience_s: float,
    dry_run: bool = False,
    part: Part = Part.ALL,
) -> Outcome:
    """Make migrations again that were taken back, the oldest first; arguments and errors as of `undo`."""
    _refuse_elsewhere(migrations)
    chosen = tuple(sorted(m.id for m in migrations))
    entries = of_part(journal.entries(link, chosen, "undone"), part)
    return _moved(
        link, chosen, entries, _Turn("undone", "applied", part), patience_s=patience_s, dry_run=dry_run
    )


def exceeding(
    now: Snapshot, entries: Sequence[Entry], rows: Sequence[RowsSince], budget_ms: float
) -> list[str]:
    """Return, for people, what of a way back would hold its locks for longer than a budget, as it cannot be done before."""
    ahead = why_not(now, entries) | why_not_repaired(now, entries)
    return list(over_budget(rows, ahead, budget_ms))


def of_part(entries: Sequence[Entry], part: Part) -> list[Entry]:
    """Return the changes that belong to a part. Pure."""
    if part is Part.ALL:
        return list(entries)
    borne = part is Part.BORNE
    return [one for one in entries if effect(one.kind).bears(one.operation).old is borne]


def _refuse_elsewhere(migrations: Sequence[Migration]) -> None:
    for one in migrations:
        if one.elsewhere:
            raise NotReversible(
                moved_here(one), next_command="backout db finalize --now --undone   # drops what is hidden"
            )


def moved_here(one: Migration) -> str:
    """Say that a migration cannot go any way where its database was restored from a dump."""
    return (
        f"Migration {one.id} is from before this database was dumped and restored: "
        "what the journal knows by its number has another one here, so that nothing can be moved by it."
    )


class _Turn(NamedTuple):
    """From which state to which changes are brought, and which of them."""

    since: str
    to: str
    part: Part


def _get_ready(link: Link, entries: Sequence[Entry], *, ahead: bool, budget_ms: float) -> None:
    failed = get_ready(link, entries, ahead=ahead, budget_ms=budget_ms)
    if failed:
        raise NotReversible(
            f"{failed[0].statement} failed: {failed[0].why}", next_command="backout db status"
        )


def _moved(
    link: Link,
    chosen: tuple[int, ...],
    entries: list[Entry],
    turn: _Turn,
    *,
    patience_s: float,
    dry_run: bool,
) -> Outcome:
    tables = sorted(tables_of(link, chosen, entries))
    catalog = LastRead(tables)
    work, begun_s = Work(link, catalog.read), 0.0

    def attempt() -> RowsReport | None:
        nonlocal work, begun_s
        fault_point("db.locked")
        work, begun_s = Work(link, catalog.read, only_tried=dry_run), time.monotonic()
        return _all(work, chosen, entries, turn)

    # The server answers faster what the session has asked before: not for the first time under the locks.
    now = alone(link, lambda: catalog.read(link))
    numbered = numbered_by(entries) | views_in(now, entries)
    try:
        rows = under_locks(link, tables, attempt, patience_s=patience_s, numbered=numbered)
    except LinkLost:
        raise
    except Moved as error:
        if error.fill is not None:
            raise NotReversible(
                str(error), next_command=f"backout db rollback --fill {shlex.quote(f'{error.fill}=EXPR')}"
            ) from error
        if error.look is None:
            raise NotReversible(str(error)) from error
        raise NotReversible(str(error), next_command=_shown_by(error.look)) from error
    except (LinkError, NotHidden, Unreadable) as error:
        raise NotReversible(str(error)) from error
    held_s = time.monotonic() - begun_s
    later = due(link) if dry_run else []
    if dry_run:
        link.rows("ROLLBACK")
    else:
        commit(link)
    return Outcome(chosen, work.done, later, held_s, _residues(entries, turn) + work.residues, rows)


def _answered(link: Link, now: Snapshot, entries: Sequence[Entry], answers: Mapping[str, str]) -> list[Entry]:
    """Return the changes with what was told of rows that violate what comes back, or that it cannot hold."""
    used: set[str] = set()
    found = [replace(one, operation=dict(one.operation)) for one in entries]
    link.rows("BEGIN")
    try:
        for one in found:
            used |= told_of(now, one.kind, one.operation, answers, once=True)
            used |= told_late(one.kind, one.operation, answers)
            answer_tried(link, one.operation)
    except Veto as error:
        raise NotReversible(f"{error}: {error.detail}", next_command="backout db status") from None
    finally:
        link.rows("ROLLBACK")
    unused = ", ".join(sorted(answers.keys() - used))
    if unused:
        raise NotReversible(
            f"{unused}: no CHECK, key or type that comes back is about that, so that the answer would do nothing",
            next_command="backout db status",
        )
    return found


def _refuse_violators(link: Link, now: Snapshot, entries: Sequence[Entry]) -> None:
    """Look, before any lock, for rows that earlier code could not change; where it takes too long, the proof after it tells."""
    asking = Asking(link)
    for one in [one for entry in entries for one in violators(asking, now, entry)]:
        if one.stops:
            raise NotReversible(in_the_way(one), next_command=_shown_by(str(one.value)))


def _shown_by(query: str) -> str:
    return psql(query, options='psql "$DATABASE_URL"')


def _residues(entries: list[Entry], turn: _Turn) -> list[str]:
    if turn.to != "undone":
        return []
    labels = [
        f"{one.operation['called']} keeps its label {one.operation['label']}: PostgreSQL cannot take it away"
        for one in entries
        if one.kind == "label.added"
    ]
    labels += [
        f"extension {one.operation['called']} stays: what uses it would go with it"
        for one in entries
        if one.kind == "extension.added"
    ]
    return labels + [
        f"{one.dropped} is as it was dropped: what was written to {', '.join(one.made)} since is hidden with that"
        for one in apart(entries)
    ]


def _all(work: Work, chosen: tuple[int, ...], entries: list[Entry], turn: _Turn) -> RowsReport | None:
    to = turn.to
    work.link.rows(f"SET LOCAL lock_timeout = '{LOCK_MS}ms'")
    rows = RowsOfWay(work, chosen, entries, back=to == "undone")
    if rows.back:
        work.rows_back = rows
    for migration in chosen:
        _one(work, [e for e in entries if e.migration == migration], to)
        if turn.part is Part.ALL or not journal.entries(work.link, (migration,), turn.since):
            journal.set_state(work.link, f"id = {migration}", to)
        if rows.back and writes_made(migration, entries):
            first = first_logged(work.link, migration)
            if first is not None:
                rows(first)
    if rows.back:
        rows(None)
    else:
        rows.forth()
    for step in work.at_last:
        step()
    return sum_of(rows.reports) if rows.reports else None


def _one(work: Work, entries: list[Entry], to: str) -> None:
    """Work on the transactions of one migration."""
    back = to == "undone"
    parts = groupby(sorted(entries, key=lambda e: (e.part, e.id), reverse=back), key=lambda e: e.part)
    for _part, group in parts:
        ordered = sorted(group, key=lambda e: effect(e.kind).down_at if back else effect(e.kind).redo_at)
        work.begun, done = work.now, []
        for entry in ordered:
            does = effect(entry.kind)
            work.until(does.down_at if back else does.redo_at)
            told = _readdressed(work, entry)
            operation = (does.down if back else does.redo)(work, entry.id, told)
            done.append(Entry(entry.id, entry.migration, entry.part, entry.kind, operation, to))
        work.until(_LAST_TURN)
        while work.at_end:
            work.at_end.pop(0)()
        # Later steps may have added to their operation.
        for entry in done:
            journal.write(work.link, replace(entry, operation=_readdressed(work, entry)))
    for entry in journal.every_entry(work.link) if work.renumbered or work.reborn else ():
        told = _readdressed(work, entry)
        if told != entry.operation:
            journal.write(work.link, replace(entry, operation=told))


def _readdressed(work: Work, entry: Entry) -> dict[str, object]:
    """Return an operation that tells of what this way has made anew by the number that it has now."""
    told = dict(entry.operation)
    for column in work.renumbered:
        told = readdressed(told, column)
    for function in work.reborn:
        told = of_function(entry.kind, told, function)
    return told


def numbered_by(entries: Sequence[Entry]) -> set[Numbered]:
    """Return the columns and tables whose sequences are changed with them: renamed, moved or given to another owner. Pure."""
    found: set[Numbered] = set()
    for entry in entries:
        told = entry.operation
        record = told.get("hidden") or told
        if entry.kind in ("table.added", "table.hidden"):
            found.add((record["table"], 0))
        elif entry.kind in ("sequence.added", "sequence.hidden", "sequence.changed"):
            found.add((told["oid"], 0))
        elif entry.kind in ("column.added", "column.hidden", "identity"):
            found.add((record["table"], record["attnum"]))
        elif entry.kind == "column.retyped":
            found |= {(told["table"], one) for one in (told["new"], told.get("old")) if one is not None}
        elif _changes_sequences(entry):
            found.add((told["oid"], 0))
    return found


def _changes_sequences(entry: Entry) -> bool:
    """Tell whether a sequence gets another name, schema or owner, or those of a table do with it."""
    told = entry.operation
    if entry.kind == "owner":
        return told["of"] in ("table", "sequence")
    return entry.kind == "renamed" and (told["of"] == "sequence" or told["from"][1] != told["to"][1])


def views_in(now: Snapshot, entries: Sequence[Entry]) -> set[Numbered]:
    """Return the views that would be dropped, of those that are there. Pure."""
    changed = [e.operation for e in entries if e.kind == "views"]
    told = [one for operation in changed for side in ("before", "after") for one in operation[side]]
    told += [one for operation in changed for pair in operation.get("stay", ()) for one in pair]
    return {(oid, 0) for one in told if (oid := oid_of(now, one)) is not None}

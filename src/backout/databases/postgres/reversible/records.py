"""What the journal holds, and what a way did, as documents."""

from __future__ import annotations

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.back import Outcome
from backout.databases.postgres.reversible.journal import Migration
from backout.databases.postgres.reversible.link import Link
from backout.databases.postgres.reversible.rows.report import RowsReport
from backout.databases.postgres.reversible.words import sentence
from backout.migration import KeptValue, MigrationRecord, RowsTaken, Unfinished, WayTaken


def record(link: Link, one: Migration) -> MigrationRecord:
    """Return a migration with what it changed."""
    entries = journal.entries(link, (one.id,), "applied", "undone", "finalized", "observed")
    return MigrationRecord.model_validate(
        {
            "id": one.id,
            "release": one.release,
            "command": one.command,
            "state": one.state,
            "started_at": one.started_at,
            "ended_at": one.ended_at,
            "changes": tuple(sentence(entry) for entry in entries),
        }
    )


def taken(direction: str, outcome: Outcome, unfinished: tuple[Unfinished, ...], *, dry_run: bool) -> WayTaken:
    """Return what a way did."""
    return WayTaken(
        direction=direction,
        migrations=outcome.migrations,
        dry_run=dry_run,
        seconds=round(outcome.seconds, 4),
        statements=tuple(outcome.statements),
        later=tuple(outcome.later),
        unfinished=unfinished,
        residues=tuple(outcome.residues),
        over_budget=tuple(outcome.over_budget),
        rows=_rows(outcome.rows) if outcome.rows is not None else None,
    )


def _rows(report: RowsReport) -> RowsTaken:
    kept = tuple(
        KeptValue(table=k.table, key=k.key, column=k.column, kept=k.kept, wanted=k.wanted, why=k.why.value)
        for k in report.kept
    )
    return RowsTaken(
        updated=report.updated,
        deleted=report.deleted,
        inserted=report.inserted,
        kept_count=report.kept_count,
        kept=kept,
    )

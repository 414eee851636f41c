"""What a kept database has and the live one has not: listed, and brought over by choice."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from backout.app.parts import Parts
from backout.app.restorable import restorable
from backout.backup import BesideDatabase, BesideState, Brought, TableDifference
from backout.databases.restores import Comparable
from backout.document import Document, Json
from backout.errors import BackoutError, NotPossible, UnknownBackup
from backout.message import Message, msg

Note = Callable[[Message], None]
_LOOK_S = 8.0
_JOURNALLED_CONFLICTS = 50
_NOTHING = msg("Nothing was changed.")


class DataDifferences(Document):
    """Every table of a kept database held against the live one.

    Attributes:
        kept: The kept database.
        since_swap: Whether rows written after the swap could be told from the others; if not, they are among
            `updated` and `deleted`.
    """

    kept: str
    since_swap: bool
    tables: tuple[TableDifference, ...]


class Bringing(Document):
    """What is to be brought: the rows of `tables`; of one table those that `where` (SQL; null: all) chooses."""

    tables: tuple[str, ...] = Field(min_length=1)
    kept: str | None = None
    where: str | None = None
    take_updated: bool = False


class BroughtTables(Document):
    """What bringing rows of several tables did, or would do: one transaction, in the order in which they were written."""

    tables: tuple[Brought, ...]


def data_diff(
    parts: Parts, kept: str | None, tables: tuple[str, ...], *, examples: int, note: Note
) -> DataDifferences:
    """Compare a kept database (None: the newest one) with the live one; changes nothing.

    Raises:
        UnknownBackup: There is no kept database, or none of that name.
        NotPossible: The database cannot do this, or not now.
    """
    found = _kept(parts, kept)
    tables = tables or _all_it_has(parts, found)
    told = _comparable(parts).differences(found.name, tables=tables, examples=examples, note=note)
    return DataDifferences(kept=found.name, since_swap=found.swap_xid is not None, tables=told)


def data_bring(parts: Parts, order: Bringing, *, dry_run: bool, note: Note) -> tuple[Brought, ...]:
    """Bring rows from a kept database into the live one, in one transaction, parents first; idempotent.

    The journal has what was asked for before, and what was done after, by table.

    Raises:
        UnknownBackup: There is no kept database, or none of that name.
        UsageError: There is no such table, or the condition is wrong, or is one for several tables.
        NotPossible: The live database is held, or a table cannot be written so that rows stay as they were.
    """
    database, kept = _comparable(parts), _kept(parts, order.kept).name
    asked: dict[str, Json] = {"kept": kept, "where": order.where, "take_updated": order.take_updated}
    if not dry_run:
        for table in order.tables:
            parts.journal.append("data.bringing", asked | {"table": table})
    brought = database.bring(
        kept, order.tables, where=order.where, take_updated=order.take_updated, dry_run=dry_run, note=note
    )
    if not dry_run:
        for told in brought:
            parts.journal.append("data.brought", asked | _numbers(told))
    return brought


def _numbers(told: Brought) -> dict[str, Json]:
    first: list[Json] = [str(conflict) for conflict in told.conflicts[:_JOURNALLED_CONFLICTS]]
    return {
        "table": told.table,
        "inserted": told.inserted,
        "updated": told.updated,
        "equal": told.equal,
        "conflicts": len(told.conflicts),
        "first_conflicts": first,
    }


def _comparable(parts: Parts) -> Comparable:
    database: object = parts.database
    if isinstance(database, Comparable):
        return database
    raise NotPossible(
        msg("No database is configured whose rows can be compared."),
        state=_NOTHING,
        next_command="backout doctor",
    )


def _kept(parts: Parts, name: str | None) -> BesideDatabase:
    """Return the kept database of that name, or the newest one."""
    database = restorable(parts)
    beside = database.beside(_LOOK_S)
    kept = [d for d in beside if d.state is BesideState.KEPT]
    if name is None and kept:
        return kept[-1]
    for found in beside:
        if found.name == name:
            return found
    raise _none(name, kept)


def _all_it_has(parts: Parts, beside: BesideDatabase) -> tuple[str, ...]:
    """Return the tables that alone have their rows in a database, by the backup it was restored from; empty: all."""
    if parts.backups is None or beside.backup is None:
        return ()
    return next((b.tables for b in parts.backups.found(_LOOK_S) if b.name == beside.backup), ())


def _none(name: str | None, kept: list[BesideDatabase]) -> BackoutError:
    names = ", ".join(d.name for d in kept) or "none"
    what = (
        msg("No database was swapped out and kept.")
        if name is None
        else msg("There is no kept database {name}. Kept: {names}.", name=name, names=names)
    )
    return UnknownBackup(what, state=_NOTHING, next_command="backout backup list")

"""Giving a shown column a value in the rows that were written while it was hidden: those that have its mark."""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.link import scalar
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.relatives import below
from backout.databases.postgres.reversible.rows.quiet import quietly
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Work


def needs_answer(record: dict[str, Any]) -> bool:
    """Tell whether nobody can compute what a hidden column has to hold in rows written since.

    A default is no answer where it would be twice in a unique index.
    """
    none = record["default"] is None or (record["alone_unique"] and not record["default_calls"])
    return bool(record["not_null"]) and not record["numbers"] and none


def null_needs_answer(operation: dict[str, Any]) -> bool:
    """Tell whether nobody can compute what a NULL has to become that was written where it must not be on the way back."""
    return not operation["not_null"] and operation["default"] is None


def accepts_null(answer: str | None) -> bool:
    """Tell whether an answer says that rows written since may stay without a value."""
    return answer is not None and answer.strip().upper() == "NULL"


def leave_open(work: Work, record: dict[str, Any]) -> bool:
    """Let a shown column take NULL, if there are rows that were written while it was hidden, and say so; tell whether there are."""
    found = opened(work, record)
    if found:
        tell_open(work, record["table"], record["attnum"], record["called"])
    return found


def opened(work: Work, record: dict[str, Any]) -> bool:
    """Let a shown column take NULL, if there are rows that were written while it was hidden; tell whether there are."""
    called = record["called"]
    column = work.thing("column", record["table"], record["attnum"], called=called)
    path, name = work.table_path(record["table"], called=called), column["name"]
    found = f"SELECT EXISTS (SELECT FROM {path} WHERE {is_written(record, name)})"
    if not record["not_null"] or scalar(work.link, found) != "t":
        return False
    if column["not_null"]:
        work.run(f"ALTER TABLE {path} ALTER COLUMN {ident(name)} DROP NOT NULL")
    return True


def tell_open(work: Work, table: int, attnum: int, called: str) -> None:
    """Tell that a column takes NULL now, which it did not, by what it is called when all is in its place."""

    def tell() -> None:
        column = Key("column", table, attnum)
        name = work.now.name(column) if column in work.now.things else called
        work.residues.append(f"{name} takes NULL, as was accepted: rows written since have no value")

    work.at_last.append(tell)


def is_written(record: dict[str, Any], column: str) -> str:
    """Return the condition of rows that were written while a column was hidden, or changed where that is told.

    Args:
        record: Of the hidden column.
        column: What it is called now.
    """
    if record["marker"] is not None:
        return f"{ident(record['marker'])} IS NOT NULL"
    return f"{ident(column)} = {record['mark']}" if record["mark"] is not None else f"{ident(column)} IS NULL"


def fill(work: Work, record: dict[str, Any], value: str | None) -> None:
    """Replace the mark in rows written since; nothing where rows have no mark.

    Args:
        work: The transaction.
        record: Of the hidden column, which is shown again.
        value: An SQL expression over the row; None: NULL.
    """
    called = record["called"]
    marked = record["mark"] is not None or record["marker"] is not None
    if marked or (record["not_null"] and not record["numbers"]):
        _replace(work, record, value, called)
    unmark(work, record)


def unmark(work: Work, record: dict[str, Any]) -> None:
    """Take away what told the rows that were written while a column was hidden."""
    called = record["called"]
    if record["written"] is not None:
        tables = {record["table"], *below(work.now, record["table"])}
        gone = [
            work.path("index", key.oid, called=called)
            for key, one in work.now.things.items()
            if key.kind == "index"
            and one["table"] in tables
            and one["name"] in (record["written"], f"{record['written']}_{one['table']}")
        ]
        if gone:
            work.run(f"DROP INDEX {', '.join(gone)}")
    if record["marker"] is not None:
        path = work.table_path(record["table"], called=called)
        work.run(f"ALTER TABLE {path} DROP COLUMN {ident(record['marker'])}")


def _replace(work: Work, record: dict[str, Any], value: str | None, called: str) -> None:
    column = work.thing("column", record["table"], record["attnum"], called=called)["name"]
    path = work.table_path(record["table"], called=called)
    with quietly(work.link, [record["table"], *below(work.now, record["table"])], []):
        work.run(f"UPDATE {path} SET {ident(column)} = {value or 'NULL'} WHERE {is_written(record, column)}")

"""Giving a shown column a value in the rows that were written while it was hidden: those that have its mark."""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.rows.quiet import quietly
from backout.databases.postgres.reversible.work import Work


def needs_answer(record: dict[str, Any]) -> bool:
    """Tell whether nobody can compute what a hidden column has to hold in rows written since."""
    return bool(record["not_null"]) and not record["numbers"] and record["default"] is None


def fill(work: Work, record: dict[str, Any], value: str | None) -> None:
    """Replace the mark in rows written since; nothing where rows have no mark.

    Args:
        work: The transaction.
        record: Of the hidden column, which is shown again.
        value: An SQL expression over the row; None: NULL.
    """
    called = record["called"]
    if record["mark"] is not None or (record["not_null"] and not record["numbers"]):
        _replace(work, record, value, called)
    if record["written"] is not None:
        for key, one in work.now.of_table("index", record["table"]).items():
            if one["name"] == record["written"]:
                work.run(f"DROP INDEX {work.path('index', key.oid, called=called)}")


def _replace(work: Work, record: dict[str, Any], value: str | None, called: str) -> None:
    column = ident(work.thing("column", record["table"], record["attnum"], called=called)["name"])
    written = f"{column} = {record['mark']}" if record["mark"] is not None else f"{column} IS NULL"
    path = work.table_path(record["table"], called=called)
    with quietly(work.link, [record["table"]], []):
        work.run(f"UPDATE {path} SET {column} = {value or 'NULL'} WHERE {written}")

"""What code that knows the earlier schema can no longer do with the later one. Pure.

The rules have the names that linters of migrations have given them. Source: squawk 2.x, documentation, "Rules".
"""

from __future__ import annotations

from collections.abc import Iterator

from backout.databases.postgres.generated.look import Look, Table
from backout.migration_proof import Breaks


def breaks(was: Look, became: Look) -> Iterator[Breaks]:
    """Yield what breaks for code that goes on as before.

    Args:
        was: The tables before the migration.
        became: Those of the same database after it, by the same numbers.
    """
    for table in was.tables.values():
        later = became.tables.get(table.oid)
        called = table.path.replace('"', "")
        if later is None:
            yield Breaks(what=f"{called} is not there: nothing reads or writes it", kind="ban-drop-table")
        elif later.path != table.path:
            yield Breaks(what=f"{called} is now {later.path.replace(chr(34), '')}", kind="renaming-table")
        else:
            yield from _of_columns(called, table, later, became)


def _of_columns(called: str, table: Table, later: Table, became: Look) -> Iterator[Breaks]:
    after = {c.number: c for c in later.columns}
    by_name = {c.name: c for c in later.columns}
    for column in table.columns:
        now = after.get(column.number)
        name = f"{called}.{column.name}"
        if column.name not in by_name and now is None:
            yield Breaks(what=f"{name} is not there: reading or writing it fails", kind="ban-drop-column")
        elif column.name not in by_name and now is not None:
            yield Breaks(what=f"{name} is now {called}.{now.name}", kind="renaming-column")
        elif by_name[column.name].type_text != column.type_text:
            to = by_name[column.name].type_text
            yield Breaks(what=f"{name} is {to}, and was {column.type_text}", kind="changing-column-type")
        elif column.not_null and not by_name[column.name].not_null:
            yield Breaks(
                what=f"{name} may be NULL, which it never was: reading may meet one", kind="ban-drop-not-null"
            )
        elif by_name[column.name].not_null and not column.not_null:
            yield Breaks(
                what=f"{name} must have a value: writing NULL fails", kind="adding-not-nullable-field"
            )
        if column.name in by_name and column.default is not None and by_name[column.name].default is None:
            needed = by_name[column.name].not_null and not by_name[column.name].numbered
            if needed:
                yield Breaks(
                    what=f"{name} has no default any more: an INSERT without it fails",
                    kind="adding-required-field",
                )
    known = {c.name for c in table.columns} | {c.number for c in table.columns}
    for column in later.columns:
        if column.name in known or column.number in known:
            continue
        if column.not_null and column.default is None and not column.identity and not column.generated:
            yield Breaks(
                what=f"{called}.{column.name} is new and must have a value: an INSERT that does not know it fails",
                kind="adding-required-field",
            )
    yield from _of_rules(called, table, later)


def _of_rules(called: str, table: Table, later: Table) -> Iterator[Breaks]:
    """Yield the constraints that are new on columns which were there: what earlier code writes may be refused."""
    before = {c.name for c in table.columns}
    old = {frozenset(key) for key in table.keys}
    for key in later.keys:
        if set(key) <= before and frozenset(key) not in old:
            yield Breaks(
                what=f"{called} ({', '.join(key)}) must be unique: writing a value twice fails",
                kind="disallowed-unique-constraint",
            )
    targets = {(one.columns, one.target) for one in table.foreign}
    for one in later.foreign:
        if set(one.columns) <= before and (one.columns, one.target) not in targets:
            yield Breaks(
                what=f"{called} ({', '.join(one.columns)}) must refer to a row: writing another value fails",
                kind="adding-foreign-key-constraint",
            )
    checks = {rule.name for rule in table.rules.values()}
    keyed = {frozenset(key) for key in later.keys}
    for rule in later.rules.values():
        on_old = bool(rule.columns) and set(rule.columns) <= before
        if on_old and rule.name not in checks and frozenset(rule.columns) not in keyed:
            yield Breaks(
                what=f"{called} has the new rule {rule.name}: what does not meet it is refused",
                kind="constraint-missing-not-valid",
            )

"""The rule that proves a schema difference additive: old code can read and write the new schema.

It answers for code that names its columns. What it cannot prove is UNKNOWN, what old code must trip over
is NO. Sources: PostgreSQL 18 documentation, ALTER TABLE, CREATE INDEX, INSERT.
"""

from __future__ import annotations

from collections.abc import Iterator

from backout.observed import Answer
from backout.schema import Column, Schema, Table

Difference = tuple[Answer, str]
"""Whether old code can live with it, and what it is (`column public.reports.source added, nullable`)."""


def differences(old: Schema, new: Schema) -> tuple[Difference, ...]:
    """Return every difference with its answer, in the order of names."""
    return tuple(_tables(old, new)) + tuple(_objects(old, new))


def additive(found: tuple[Difference, ...]) -> Answer:
    """Return YES if every difference is harmless to old code, NO if one must break it, else UNKNOWN."""
    answers = {answer for answer, _ in found}
    if Answer.NO in answers:
        return Answer.NO
    return Answer.UNKNOWN if Answer.UNKNOWN in answers else Answer.YES


def _tables(old: Schema, new: Schema) -> Iterator[Difference]:
    for name in sorted(old.tables.keys() | new.tables.keys()):
        before, after = old.tables.get(name), new.tables.get(name)
        if before is None:
            assert after is not None
            yield _new_table(name, after, set(old.tables))
        elif after is None:
            yield Answer.NO, f"{before.kind} {name} removed"
        else:
            yield from _table(name, before, after)


def _new_table(name: str, table: Table, existing: set[str]) -> Difference:
    # Hazard: a new table's foreign key can forbid old code to delete rows of an old table.
    for constraint, definition in table.constraints.items():
        if definition.startswith("FOREIGN KEY") and not _lets_go(definition):
            referred = definition.partition("REFERENCES ")[2].partition("(")[0].strip()
            if referred != name and (referred in existing or f"public.{referred}" in existing):
                return (
                    Answer.UNKNOWN,
                    f"{table.kind} {name} added, whose foreign key {constraint} can forbid deletes in {referred}",
                )
    return Answer.YES, f"{table.kind} {name} added"


def _lets_go(foreign_key: str) -> bool:
    return "ON DELETE CASCADE" in foreign_key or "ON DELETE SET" in foreign_key


def _table(name: str, before: Table, after: Table) -> Iterator[Difference]:
    if before.kind != after.kind:
        yield Answer.UNKNOWN, f"{name} changed from {before.kind} to {after.kind}"
    if before.definition != after.definition:
        yield Answer.UNKNOWN, f"{after.kind} {name} defined otherwise"
    for column in sorted(before.columns.keys() | after.columns.keys()):
        yield from _column(f"{name}.{column}", before.columns.get(column), after.columns.get(column))
    for index, definition in _changed(before.indexes, after.indexes):
        unique = " UNIQUE " in (before.indexes.get(index, "") + after.indexes.get(index, ""))
        yield (
            (Answer.UNKNOWN if unique else Answer.YES),
            f"{'unique ' if unique else ''}index {index} on {name} {definition}",
        )
    for what, old_parts, new_parts in (
        ("constraint", before.constraints, after.constraints),
        ("trigger", before.triggers, after.triggers),
        ("policy", before.policies, after.policies),
    ):
        for part, change in _changed(old_parts, new_parts):
            yield Answer.UNKNOWN, f"{what} {part or 'switch'} on {name} {change}"


def _column(name: str, before: Column | None, after: Column | None) -> Iterator[Difference]:
    if before is None:
        assert after is not None
        if after.nullable or after.default is not None or after.generated or after.identity:
            yield Answer.YES, f"column {name} added, {'nullable' if after.nullable else 'filled by itself'}"
        else:
            yield Answer.NO, f"column {name} added, NOT NULL without a default"
        return
    if after is None:
        yield Answer.NO, f"column {name} removed"
        return
    if before.type != after.type:
        yield Answer.NO, f"column {name} changed from {before.type} to {after.type}"
    if before.nullable != after.nullable:
        yield Answer.UNKNOWN, f"column {name} {'may now be null' if after.nullable else 'is now NOT NULL'}"
    if before.default != after.default:
        lost = after.default is None and not after.nullable
        yield (
            (Answer.NO if lost else Answer.UNKNOWN),
            f"default of column {name} {'removed' if after.default is None else 'changed'}",
        )
    if (before.generated, before.identity, before.collation) != (
        after.generated,
        after.identity,
        after.collation,
    ):
        yield Answer.UNKNOWN, f"column {name} generated or sorted otherwise"


def _objects(old: Schema, new: Schema) -> Iterator[Difference]:
    for name, change in _changed(old.objects, new.objects):
        if change == "added" and not name.startswith("event trigger"):
            yield Answer.YES, f"{name} added"
        elif change == "removed":
            yield Answer.NO, f"{name} removed"
        else:
            yield Answer.UNKNOWN, f"{name} {change}"


def _changed(before: dict[str, str], after: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield name, "added"
        elif name not in after:
            yield name, "removed"
        elif before[name] != after[name]:
            yield name, "changed"

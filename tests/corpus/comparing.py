"""Holds one state of a database against another. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.corpus.destroys import is_history

from backout.databases.postgres.generated.seen import Row, Seen
from backout.databases.postgres.reversible.fingerprint import Print, differences


def other_things(wanted: Print, found: Print, told: Sequence[str] = ()) -> list[str]:
    """Return how one schema is not as the other, but for what somebody has told of."""
    return [
        str(one) for one in differences(wanted, found) if not any(_speaks_of(text, one.name) for text in told)
    ]


def things_beyond(wanted: Print, found: Print, again: Print) -> list[str]:
    """Return how one schema is not as the other, but for things that are not so either when the same is done again."""
    by_chance = {one.name for one in differences(wanted, again)}
    return [str(one) for one in differences(wanted, found) if one.name not in by_chance]


def _speaks_of(told: str, thing: str) -> bool:
    """Tell whether a sentence is about a thing: a part of a table by its last name."""
    kind, _, name = thing.partition(" ")
    if kind in ("enum", "type") and "keeps its label" in told:
        return True
    if "xtension" in told and kind in ("extension", "schema", "function", "type"):
        return True
    # For people, names are not quoted.
    return name.replace('"', "") in told.replace('"', "") or (
        kind in ("constraint", "column", "index") and f'"{name.rsplit(".", 1)[-1]}"' in told
    )


def other_rows(wanted: Seen, found: Seen) -> dict[str, set[str]]:
    """Return the columns whose values are not the same, by table; of a table that is not there all. Order counts for nothing."""
    tables = wanted.rows.keys() | found.rows.keys()
    unlike = {
        one: _columns_unlike(wanted.rows.get(one), found.rows.get(one))
        for one in tables
        if not is_history(one)
    }
    return {table: columns for table, columns in unlike.items() if columns}


def _columns_unlike(one: list[Row] | None, other: list[Row] | None) -> set[str]:
    if one is None or other is None:
        return {"the table"}
    if len(one) != len(other):
        return {f"{len(one)} rows and {len(other)}"}
    if _counted(one) == _counted(other):
        return set()
    names = {name for row in (*one[:1], *other[:1]) for name in row}
    unlike = {n for n in names if Counter(r.get(n) for r in one) != Counter(r.get(n) for r in other)}
    return unlike or {"the rows"}


def _counted(rows: list[Row]) -> Counter[tuple[tuple[str, str | None], ...]]:
    return Counter(tuple(sorted(row.items())) for row in rows)


def beyond(unlike: dict[str, set[str]], by_chance: dict[str, set[str]]) -> Iterator[str]:
    """Yield what is unlike, but for what is so each time that the migration runs: moments and numbers by chance."""
    for table, columns in sorted(unlike.items()):
        left = columns - by_chance.get(table, set())
        if left:
            yield f"{table}: {', '.join(sorted(left))}"

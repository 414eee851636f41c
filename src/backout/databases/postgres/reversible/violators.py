"""Rows that do not meet a CHECK which would come back: earlier code could not change any column of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backout.databases.postgres.reversible import constraints
from backout.databases.postgres.reversible.asking import Asking, Unanswered
from backout.databases.postgres.reversible.catalog import Key, Snapshot
from backout.databases.postgres.reversible.held import path
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.names import is_hidden

# Source: PostgreSQL 15 and 18, src/backend/utils/adt/ruleutils.c, `pg_get_constraintdef_worker`.
_CHECK = re.compile(r"CHECK \((?P<expression>.*)\)(?: NO INHERIT)?(?: NOT VALID)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Violators:
    """What is known of the rows that do not meet one CHECK.

    Attributes:
        called: The CHECK.
        rows: How many; None: unknown.
        why: Why it is unknown.
        shown_by: A statement that shows them.
    """

    called: str
    rows: int | None
    why: str | None
    shown_by: str


def brings_check(entry: Entry) -> bool:
    """Tell whether a way back of a change brings a CHECK back that held for every row."""
    told = entry.operation.get("dropped", {})
    return (
        entry.kind == "constraint.dropped"
        and entry.state == "applied"
        and told["kind"] == "c"
        and told["valid"]
    )


def violators(asking: Asking, now: Snapshot, entries: Sequence[Entry]) -> Iterator[Violators]:
    """Yield it for each CHECK that a way back of those changes would bring back, where there are any or nobody knows."""
    for entry in [one for one in entries if brings_check(one)]:
        dropped = entry.operation["dropped"]
        if Key("table", dropped["table"]) not in now.things:
            continue
        called = entry.operation["called"]
        columns = now.columns(dropped["table"])
        found = _CHECK.fullmatch(constraints.check_text(now, dropped))
        if found is None or any(
            attnum not in columns or is_hidden(columns[attnum]["name"]) for attnum in dropped["columns"] or ()
        ):
            yield Violators(called, None, "columns that it speaks of come back with it", "")
            continue
        rows = f"FROM {path(now, Key('table', dropped['table']))} WHERE ({found['expression']}) IS FALSE"
        shown_by = f"SELECT * {rows}"
        try:
            count = asking.count(f"SELECT count(*) {rows}")
        except Unanswered as error:
            yield Violators(called, None, str(error), shown_by)
            continue
        if count:
            yield Violators(called, count, None, shown_by)

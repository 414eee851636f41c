"""Answers: what nobody can compute, told in the statement as ``-- backout: fill TABLE.COLUMN = EXPR``."""

from __future__ import annotations

import re
from typing import Any

from backout.databases.postgres.reversible.effects.column_not_null import needs_answer as null_needs_answer
from backout.databases.postgres.reversible.fill import needs_answer
from backout.databases.postgres.reversible.proxy.keeper import Veto

_LINE = re.compile(r"^\s*--\s*backout:\s*fill\s+(\S+)\s*=\s*(.+?)\s*$", re.MULTILINE | re.IGNORECASE)


def found_in(text: str) -> dict[str, str]:
    """Return the answers that stand in a statement's comments, by table and column."""
    return {place: expression.rstrip(";") for place, expression in _LINE.findall(text)}


def for_column(record: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    """Return the answer for a column that is dropped.

    Raises:
        Veto: It needs one, and there is none.
    """
    answer = of(record["called"], given)
    if answer is not None:
        return {"fill": answer}
    if needs_answer(record):
        raise _missing(
            record["called"], "Rows that are written after the column was dropped have no value for it"
        )
    return {}


def check(kind: str, operation: dict[str, Any], given: dict[str, str]) -> None:
    """Put the answer into an operation that needs one.

    Raises:
        Veto: There is none.
    """
    if kind != "column.not_null":
        return
    answer = of(operation["called"], given)
    if answer is not None:
        operation["fill"] = answer
    elif null_needs_answer(operation):
        raise _missing(
            operation["called"], "Rows that are written after NOT NULL was dropped may have no value in it"
        )


def of(called: str, given: dict[str, str]) -> str | None:
    """Return the answer for ``schema.table.column``; the schema need not be told."""
    return given.get(called) or given.get(called.split(".", 1)[-1])


def _missing(called: str, why: str) -> Veto:
    place = called.split(".", 1)[-1] if called.startswith("public.") else called
    return Veto(
        f"backout needs an answer for {called}",
        detail=f"{why}, and the column needs one on the way back.",
        hint=f"Write this line into the statement, with the value that such rows get on the way back: -- backout: fill {place} = EXPR; or run backout migrate --fill {place}=EXPR",
    )

"""Answers: what nobody can compute, told in the statement as ``-- backout: fill TABLE.COLUMN = EXPR``, or ``back``.

`fill` tells the value of rows that have none; `back` tells the value that a column had, over what it has now; `keep TABLE`
tells how dropped columns of a table are kept. `repair` and `quarantine` tell what becomes of rows that violate what comes
back: see `remedies.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backout.databases.postgres.reversible import expressions
from backout.databases.postgres.reversible.fill import accepts_null, needs_answer, null_needs_answer
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.proxy.keeper import NOT_COMMITTED, Veto
from backout.migration import ANSWER, HIDE, KEEPS, SIDE_TABLE, answers_in, is_answer

_LINE = re.compile(rf"^\s*--\s*backout:\s*{ANSWER}\s*;*\s*$", re.MULTILINE | re.IGNORECASE)


def found_in(text: str) -> dict[str, str]:
    """Return the answers that stand in a statement's comments, by table and column; all but `fill` have their word before them."""
    told = ((word, place.rstrip(";"), expression) for word, place, expression in _LINE.findall(text))
    return answers_in(one for one in told if is_answer(one))


def over(lower: Mapping[str, str], higher: Mapping[str, str]) -> dict[str, str]:
    """Return the answers of two, of which the second is right about a column that both tell of, with its schema or without."""
    kept = {place: told for place, told in lower.items() if not any(_same(place, one) for one in higher)}
    return kept | dict(higher)


def _same(one: str, other: str) -> bool:
    (word, place), (other_word, other_place) = _parts(one), _parts(other)
    ends = place == other_place or place.endswith(f".{other_place}") or other_place.endswith(f".{place}")
    return word == other_word and ends


def _parts(key: str) -> tuple[str, str]:
    word, _, place = key.rpartition(" ")
    return word, place


def for_column(record: dict[str, Any], given: dict[str, str], *, must: bool = True) -> dict[str, str]:
    """Return the answer for a column that is dropped.

    Args:
        record: Of the hidden column.
        given: The answers.
        must: Its value follows from nothing else.

    Raises:
        Veto: It needs one, and there is none.
    """
    answer = of(record["called"], given)
    if answer is not None:
        return {"fill": answer}
    if must and needs_answer(record):
        raise _missing(
            record["called"], "Rows that are written after the column was dropped have no value for it"
        )
    return {}


@dataclass(frozen=True, slots=True)
class Given:
    """What the user has told about a column whose type changes.

    Attributes:
        back: Expression over the new column for the value of the old one.
        fill: Value of rows for which there is none.
    """

    back: str | None
    fill: str | None


def for_retyped(called: str, given: dict[str, str]) -> Given:
    """Return the answers for a column whose type changes; NULL is none for values that have to be put."""
    schema_less = called.split(".", 1)[-1]
    back = given.get(f"back {called}") or given.get(f"back {schema_less}")
    fill = of(called, given)
    return Given(back, None if accepts_null(fill) else fill)


def no_way_back(called: str, old_type: str, new_type: str) -> Veto:
    """Return the refusal of a change of type that PostgreSQL has no cast back for."""
    return Veto(
        f"backout needs an answer for {called}",
        detail=f"Rows that are written after its type was changed have a {new_type}, of which PostgreSQL makes no {old_type} by itself.",
        hint=f"Write this line into the statement, with the earlier value told by the later one: -- backout: back {place_of(called)} = EXPR; or run backout migrate --back {place_of(called)}=EXPR",
    )


def taken_by_others(called: str, takers: Sequence[str]) -> Veto:
    """Return the refusal of dropping a column whose values others have, where nobody can compute it from them.

    Args:
        called: The dropped column.
        takers: Those that may have got its values.
    """
    place, own = place_of(called), ident(called.rpartition(".")[2])
    return Veto(
        f"backout needs an answer for {called}",
        detail=f"The same migration fills {', '.join(takers)} from it, or nobody can tell from what. What is written after the "
        "column was dropped is in the others alone, and on the way back the column needs the value that follows from it.",
        hint=f"Write this line into the statement, with the dropped column's value told by the other columns of its row: -- backout: back {place} = EXPR; or run backout migrate --back {place}=EXPR. "
        f"With {own} for EXPR, it comes back as it was dropped.",
    )


def nothing_to_put(called: str, old_type: str) -> Veto:
    """Return the refusal of a change of type after which some values may have no earlier one."""
    return Veto(
        f"backout needs an answer for {called}",
        detail=f"What is written after its type was changed may be no {old_type}, and the column needs a value on the way back.",
        hint=f"Write this line into the statement, with the value that such rows get on the way back: -- backout: fill {place_of(called)} = EXPR; or run backout migrate --fill {place_of(called)}=EXPR",
    )


def kept_beside(table: str, given: dict[str, str]) -> bool:
    """Tell whether values of a dropped column are to be kept in a table beside, and the column not be hidden.

    Raises:
        Veto: It is told in words that nobody knows.
    """
    told = given.get(f"keep {table}") or given.get(f"keep {table.split('.', 1)[-1]}") or HIDE
    if told not in KEEPS:
        raise Veto(
            f"backout does not know how to keep columns of {table}: {told}",
            detail=f"It can be told as {' or '.join(KEEPS)}. {NOT_COMMITTED}",
            hint=f"Write: -- backout: keep {place_of(table)} = {SIDE_TABLE}; or run backout migrate --keep {place_of(table)}={SIDE_TABLE}",
        )
    return told == SIDE_TABLE


def as_it_was(table: str, given: dict[str, str]) -> bool:
    """Tell whether a dropped table is to come back as it was dropped, though others of its migration have its rows.

    Raises:
        Veto: Something else is told of it.
    """
    names = (table, table.split(".", 1)[-1])
    told = next((given[f"back {one}"] for one in names if f"back {one}" in given), None)
    if told is not None and told.replace('"', "") not in (one.replace('"', "") for one in names):
        raise Veto(
            f"backout cannot use the answer for {table}: {told}",
            detail=f"Of a table nothing can be told but itself: that it comes back as it was dropped. {NOT_COMMITTED}",
            hint=f"Write: {_itself(table)}",
        )
    return told is not None


def accepting(table: str, takers: Sequence[str]) -> str:
    """Return how it is accepted that a dropped table comes back as it was dropped."""
    return (
        f"Or accept that it comes back as it was dropped, by this line in the statement: {_itself(table)}; or by backout migrate --back "
        f"{place_of(table)}={place_of(table)}. What is written to {', '.join(takers)} since is hidden with that then, until db redo."
    )


def _itself(table: str) -> str:
    return f"-- backout: back {place_of(table)} = {place_of(table)}"


def not_beside(table: str, why: str) -> Veto:
    """Return the refusal of a column whose values cannot be kept in a table beside."""
    return Veto(
        f"backout cannot keep values in a table beside: {why}",
        detail=f"{table} has keep: {SIDE_TABLE}. {NOT_COMMITTED}",
        hint=f"To hide this column instead, write this line into the statement: -- backout: keep {place_of(table)} = {HIDE}; "
        "a hidden column is still seen by SELECT *, by INSERT without names of columns, and by subscribers.",
    )


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
    """Return the answer for ``schema.table.column``, as one expression and nothing else; the schema need not be told.

    Raises:
        Veto: It is none.
    """
    answer = given.get(called) or given.get(called.split(".", 1)[-1])
    if answer is None:
        return None
    try:
        # Hazard: it stands in an UPDATE on the way back, of which a comment or a second value would make another one.
        return expressions.text_of(expressions.parsed(answer))
    except expressions.NotOverColumns as error:
        raise unusable(called, answer, str(error)) from None


def unusable(called: str, answer: str, why: str) -> Veto:
    """Return the refusal of an answer that is no value."""
    return Veto(
        f"backout cannot use the answer for {called}: {answer}",
        detail=f"It was tried as the value of that column: {why}. {NOT_COMMITTED}",
        hint="Write one SQL expression of the column's type, over the columns that the table has after this statement.",
    )


def place_of(called: str) -> str:
    """Return what a column is called in an answer."""
    return called.split(".", 1)[-1] if called.startswith("public.") else called


def _missing(called: str, why: str) -> Veto:
    place = place_of(called)
    return Veto(
        f"backout needs an answer for {called}",
        detail=f"{why}, and the column needs one on the way back.",
        hint=f"Write this line into the statement, with the value that such rows get on the way back: -- backout: fill {place} = EXPR; or run backout migrate --fill {place}=EXPR. "
        "With NULL for EXPR, the column comes back without its NOT NULL if there are such rows.",
    )

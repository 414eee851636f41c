"""The way back of a change of type: by the user's answer, by PostgreSQL's own cast, or by an enum's labels."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from backout.databases.postgres.reversible import expressions
from backout.databases.postgres.reversible.answers import Given, no_way_back, nothing_to_put
from backout.databases.postgres.reversible.conversion import function
from backout.databases.postgres.reversible.link import LinkError, objects, scalar
from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.work import Work

Operation = dict[str, Any]

UNTOLD = "untold"
"""In an operation: somebody has to tell what is put where no value fits."""
_TEXTS = ("text", "character varying")
_NO_CAST = ("42P13", "42846", "42804")


def way_back(
    work: Work,
    operation: Operation,
    function_name: str,
    name: str,
    given: Given,
    *,
    columns: dict[str, tuple[int, str]] | None = None,
    once_more: bool = False,
) -> Operation:
    """Make the function of the way back: the user's answer, PostgreSQL's own cast, or by an enum's labels.

    Whether something has to be put where no value would fit is asked at the COMMIT (`untold`): the type may be another one by then.
    Of a column that had got another type before (`once_more`) an answer may have been meant for that one: it is not taken if it
    gives no value of the earlier type.

    Raises:
        Veto: There is none.
    """
    old_type, new_type = operation["types"]
    # By its name of now: another type may have its earlier one, made in its place.
    if "old" in operation:
        hidden_column = work.now.things.get(Key("column", operation["table"], operation["old"]))
        old_type = old_type if hidden_column is None else hidden_column["type_text"]
    columns = columns or columns_of(work, operation, own=operation["new"], name=name)
    made: Operation | None = None
    if given.back is not None and not once_more:
        made = function(work, function_name, expressions.parsed(given.back), columns, old_type)
    else:
        by_label = [f"{ident(name)}::text::{old_type}"] if _tells_label(work, old_type, new_type) else []
        told = [given.back] if given.back is not None else []
        for text in [*told, ident(name), *by_label]:
            made = made or if_it_casts(work, function_name, text, columns, old_type)
    if made is None:
        raise no_way_back(operation["called"], old_type, new_type)
    operation.pop(UNTOLD, None)
    if operation["strict"] and given.fill is None and not _may_wait(work, old_type, new_type):
        operation[UNTOLD] = old_type
    return made


def refuse_untold(operations: Iterable[Operation]) -> None:
    """Refuse a change of a type after which a value may be missing that has to be there, and nobody has told which.

    Raises:
        Veto: There is one.
    """
    for one in operations:
        if UNTOLD in one:
            raise nothing_to_put(one["called"], one["types"][0])


def in_key(now: Snapshot, table: int, attnum: int) -> bool:
    """Tell whether nothing could be put in the place of a value: it has to be the only one, or one of another table."""
    return any(
        attnum in one["columns"] and one["unique"] for one in now.of_table("index", table).values()
    ) or any(
        one["kind"] == "f" and attnum in one["columns"] for one in now.of_table("constraint", table).values()
    )


def _may_wait(work: Work, old_type: str, new_type: str) -> bool:
    """Tell whether nothing has to be put in the place of values that do not fit, until there are some.

    A text takes every value; and of a wider type of the same kind few use more than they had.
    """
    if old_type in _TEXTS:
        return True
    labels = [_labels(work, one) for one in (old_type, new_type)]
    if labels[0] is not None and labels[1] is not None and set(labels[1]) <= set(labels[0]):
        return True
    category = "SELECT typcategory FROM pg_catalog.pg_type WHERE oid = pg_catalog.to_regtype({0})::oid"
    first, second = (scalar(work.link, category.format(literal(_bare(one)))) for one in (old_type, new_type))
    return first is not None and first == second and first != "E"


def _bare(type_text: str) -> str:
    """Return a type without what stands in brackets: `to_regtype` of PostgreSQL 15 knows no modifiers."""
    return re.sub(r"\([^)]*\)", "", type_text)


def if_it_casts(
    work: Work, name: str, text: str, columns: dict[str, tuple[int, str]], returns: str
) -> Operation | None:
    """Make the function of an expression, if PostgreSQL casts what it gives; None: it does not."""
    work.link.rows("SAVEPOINT backout")
    try:
        made = function(work, name, expressions.parsed(text), columns, returns)
    except LinkError as error:
        if error.sqlstate not in _NO_CAST:
            raise
        work.link.rows("ROLLBACK TO SAVEPOINT backout")
        made = None
    work.link.rows("RELEASE SAVEPOINT backout")
    return made


def _tells_label(work: Work, old_type: str, new_type: str) -> bool:
    """Tell whether the later value, as a text, may be a label of the earlier type."""
    if _labels(work, old_type) is None:
        return False
    return _bare(new_type) in _TEXTS or _labels(work, new_type) is not None


def _labels(work: Work, type_text: str) -> list[str] | None:
    """Return the labels of an enum, or of that which an array is of; None: it is none."""
    found = objects(
        work.link,
        "SELECT e.enumlabel AS label FROM pg_catalog.pg_enum e "
        "JOIN pg_catalog.pg_type t ON e.enumtypid = CASE t.typcategory WHEN 'A' THEN t.typelem ELSE t.oid END "
        f"WHERE t.oid = pg_catalog.to_regtype({literal(_bare(type_text))})::oid",
    )
    return [one["label"] for one in found] or None


def columns_of(work: Work, operation: Operation, *, own: int, name: str) -> dict[str, tuple[int, str]]:
    """Return the columns that an expression may name; the one that is changed is told by its old or new number."""
    columns = work.now.columns(operation["table"])
    found = {one["name"]: (attnum, one["type_text"]) for attnum, one in columns.items()}
    return found | {name: (own, columns[own]["type_text"])}

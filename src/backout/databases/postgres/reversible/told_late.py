"""What is put where the earlier type of a column cannot hold a value, as it is told when a way back is taken; for that way alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backout.databases.postgres.reversible import answers
from backout.databases.postgres.reversible.fill import accepts_null

Operation = dict[str, Any]

_BEFORE = "fill_before"
"""In an operation, while it is taken back: a list of what was told with the migration."""


def told_late(kind: str, operation: Operation, given: Mapping[str, str]) -> set[str]:
    """Put it into a change of a type, and return those of the answers that it is about.

    Raises:
        Veto: It is no value.
    """
    if kind != "column.retyped":
        return set()
    called = str(operation["called"])
    value = answers.of(called, dict(given))
    if value is None:
        return set()
    if accepts_null(value):
        raise answers.unusable(
            called, value, "what has no value to be put gets NULL anyway, where that may be"
        )
    operation |= {_BEFORE: [operation["fill"]], "fill": value}
    return given.keys() & {called, called.split(".", 1)[-1]}


def as_told_first(operation: Operation) -> Operation:
    """Return what an operation says without what was told for one way back."""
    return {"fill": operation[_BEFORE][0], _BEFORE: None} if operation.get(_BEFORE) else {}

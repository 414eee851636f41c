"""The decision table: how far back, by cause and by what the target can do with the schema, as it stands or taken back.

`docs/decision-table.md` shows the same rows and is tested against this file.
"""

from __future__ import annotations

from dataclasses import dataclass

from backout.assess.model import Cause
from backout.message import Message, msg
from backout.observed import Answer
from backout.plan.model import Scenario


@dataclass(frozen=True, slots=True)
class Row:
    """One row: if cause and compatibility are these, then this scenario.

    Attributes:
        undone: Whether the target can use the schema of before the journal's migrations; None: there are none to take back.
        named: The scenario restores or can lose rows: it is named, never chosen by itself.
    """

    causes: tuple[Cause | None, ...]
    answers: tuple[Answer, ...]
    undone: tuple[Answer | None, ...]
    scenario: Scenario
    named: bool
    why: Message


ANY = (Answer.YES, Answer.NO, Answer.UNKNOWN)
EITHER = (*ANY, None)

TABLE: tuple[Row, ...] = (
    Row(
        (None, "code"),
        (Answer.YES,),
        EITHER,
        Scenario.CODE,
        False,
        msg(
            "Nothing says that data is damaged, and the earlier code can use the schema as it stands: the code alone goes back."
        ),
    ),
    Row(
        (None, "code"),
        (Answer.UNKNOWN, Answer.NO),
        (Answer.YES,),
        Scenario.SCHEMA,
        False,
        msg(
            "The earlier code is not known to be able to use the schema as it stands, and can use the one of before the "
            "migrations: they are taken back with the code, and no row and no value is lost."
        ),
    ),
    Row(
        (None, "code"),
        (Answer.UNKNOWN,),
        (Answer.UNKNOWN, Answer.NO, None),
        Scenario.CODE,
        False,
        msg(
            "Nothing says that data is damaged; whether the earlier code can use the schema is unknown and has to be accepted by name."
        ),
    ),
    Row(
        (None, "code"),
        (Answer.NO,),
        (Answer.UNKNOWN,),
        Scenario.SCHEMA,
        False,
        msg(
            "The earlier code cannot use the schema as it stands: the migrations are taken back with it, and no row and no "
            "value is lost; whether it can use what stands then is unknown and has to be accepted by name."
        ),
    ),
    Row(
        (None, "code"),
        (Answer.NO,),
        (Answer.NO, None),
        Scenario.FULL,
        True,
        msg(
            "The earlier code cannot use the schema as it stands: code and database have to go back together."
        ),
    ),
    Row(
        ("data",),
        ANY,
        EITHER,
        Scenario.DATA,
        True,
        msg(
            "Data is damaged and the code is not: the data has to come back from a backup, which loses what was written since."
        ),
    ),
    Row(
        ("both",),
        ANY,
        EITHER,
        Scenario.FULL,
        True,
        msg(
            "Code and data are damaged: both have to go back, which loses what was written since the backup."
        ),
    ),
)


def decide(cause: Cause | None, answer: Answer, undone: Answer | None) -> Row:
    """Return the row that applies; every combination has exactly one."""
    return next(
        row for row in TABLE if cause in row.causes and answer in row.answers and undone in row.undone
    )

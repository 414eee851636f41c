"""What was found out of a migration, as it is written down."""

from __future__ import annotations

from dataclasses import dataclass, field

AT_ONCE, WRITES, ALL = "O(1)", "O(writes)", "O(n)"
ANSWER, REFUSED, WRONG = "answer", "refused", "wrong"
VERDICTS = (AT_ONCE, WRITES, ALL, ANSWER, REFUSED, WRONG)
LOSSLESS = (AT_ONCE, WRITES, ALL)


@dataclass(slots=True)
class Own:
    """What the project's own way back did.

    Attributes:
        runs: It ended without an error.
        schema: The schema is the one of before.
        rows: Every row and value that was there before is there.
        why: What is not.
    """

    runs: bool
    schema: bool = False
    rows: bool = False
    why: str = ""


@dataclass(slots=True)
class Result:
    """One migration, there and back.

    Attributes:
        name: Of the migration.
        verdict: `O(1)`, `O(writes)`, `O(n)`: proven lossless, and what the way back has to do with rows. `answer`: proven
            lossless once somebody had answered what nobody can compute. `refused`: by backout, or not run by the harness.
            `wrong`: done, and not as it was before.
        held: While it does so with all rows of a table, nobody else can use that.
        destructive: Kinds of loss that the migration itself means: `drop table`, `drop column`, `type`, `update`, `delete`.
        rows: How many generated rows were there.
        emptied: Tables that had to be emptied for it, as it does not run on rows, whatever they are.
        written: How many rows were written between the migration and its way back.
        why: Of `refused` and `wrong`.
        answers: What was answered, by place.
        residues: What backout told that stays.
        locked_s: How long the way back held its locks.
        own: The project's own way back; None: it has none.
        seconds: How long all of it took.
    """

    name: str
    verdict: str = REFUSED
    held: bool = False
    destructive: list[str] = field(default_factory=list)
    rows: int = 0
    emptied: list[str] = field(default_factory=list)
    written: int = 0
    why: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    residues: list[str] = field(default_factory=list)
    locked_s: float = 0
    own: Own | None = None
    seconds: float = 0

"""The decision table in the documentation is the one that decides."""

from itertools import product
from pathlib import Path

from backout.assess.scenario import TABLE, decide
from backout.observed import Answer

DOCUMENT = Path(__file__).parents[2] / "docs" / "decision-table.md"


def documented():
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ") and "---" not in line]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in rows[1:]]


def test_every_row_says_what_the_code_does():
    told = [
        (
            ", ".join("not given" if cause is None else cause for cause in row.causes),
            ", ".join(answer.value for answer in row.answers),
            {None: "either", True: "yes", False: "no, unknown"}[row.undoable],
            row.scenario.value,
            "named" if row.named else "chosen",
            str(row.why),
        )
        for row in TABLE
    ]
    assert documented() == told


def test_every_combination_has_exactly_one_row():
    for cause, answer, undoable in product((None, "code", "data", "both"), Answer, (True, False)):
        fits = [
            row
            for row in TABLE
            if cause in row.causes and answer in row.answers and row.undoable in (None, undoable)
        ]
        assert fits == [decide(cause, answer, undoable=undoable)]


def test_nothing_that_restores_is_ever_chosen():
    assert all(row.named for row in TABLE if row.scenario.value not in ("code", "schema"))

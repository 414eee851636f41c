"""The decision table in the documentation is the one that decides."""

from itertools import product
from pathlib import Path

from backout.assess.scenario import EITHER, TABLE, decide
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
            "any"
            if row.undone == EITHER
            else ", ".join("none to take back" if a is None else a.value for a in row.undone),
            row.scenario.value,
            "named" if row.named else "chosen",
            str(row.why),
        )
        for row in TABLE
    ]
    assert documented() == told


def test_every_combination_has_exactly_one_row():
    for cause, answer, undone in product((None, "code", "data", "both"), Answer, EITHER):
        fits = [
            row for row in TABLE if cause in row.causes and answer in row.answers and undone in row.undone
        ]
        assert fits == [decide(cause, answer, undone)]


def test_nothing_that_restores_is_ever_chosen():
    assert all(row.named for row in TABLE if row.scenario.value not in ("code", "schema"))

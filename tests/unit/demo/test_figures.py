"""What the demo says when something does not hold."""

from __future__ import annotations

from typing import Any

from backout.demo.figures import broken_promises
from backout.demo.releases import BAD, GOOD


def measured(**changes: Any) -> dict[str, Any]:
    back = {"requests_sent": 900, "requests_failed": 0, "rows_lost": 0, "rows_acknowledged": 40}
    found = {
        "exit_code_of_run": 0,
        "way_back": back,
        "afterwards": {"requests_failed": 0, "answered_by": {GOOD: 200}},
    }
    return {**found, **changes}


def test_nothing_is_said_where_all_holds() -> None:
    assert broken_promises(measured()) == []


def test_what_failed_is_said_as_a_failure_with_its_figure() -> None:
    back = {"requests_sent": 20, "requests_failed": 2, "rows_lost": 1, "rows_acknowledged": 40}
    after = {"requests_failed": 1, "answered_by": {GOOD: 200, BAD: 3}}
    assert broken_promises(measured(exit_code_of_run=6, way_back=back, afterwards=after)) == [
        "the run did not end done and proven: exit code 6",
        "fewer than 500 requests were sent during the way back: 20",
        "requests failed: 3",
        "acknowledged rows were lost: 1 of 40",
        f"not only {GOOD} answers: {GOOD}, {BAD}",
    ]


def test_data_that_did_not_come_back_or_over_is_said() -> None:
    good = {"rows_behind": 40, "rows_still_behind": 0, "damaged_rows_after": 0}
    assert broken_promises(measured(data=good)) == []
    bad = {"rows_behind": 40, "rows_still_behind": 3, "damaged_rows_after": 2}
    assert broken_promises(measured(data=bad)) == [
        "rows written since the backup did not all come over: 3 of 40",
        "rows are still damaged: 2",
    ]

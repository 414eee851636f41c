"""Schemas, migrations and writes that nobody has thought of, by fixed seeds: nothing is lost, or it is refused before COMMIT.

`make fuzz` goes on with new seeds. What it finds becomes a test in `test_found.py`.
"""

from __future__ import annotations

import pytest

from .property.case import Case
from .property.fuzz import run_case
from .property.reasons import undocumented
from .servers import Server

pytestmark = pytest.mark.slow

_CASES_EACH = 10
_REFUSED_AT_MOST = 1
"""Of the cases of one test; of all of them together it is less than one in twenty."""


@pytest.mark.parametrize("first", range(0, 100, _CASES_EACH))
def test_nothing_is_lost(first: int, server: Server) -> None:
    refused = []
    for number in range(first, first + _CASES_EACH):
        # Each server has seeds of its own.
        case = Case(seed=number * 100 + server.version)
        told = run_case(server, case, draw=True)
        assert [one for one in told.refused + told.stopped if undocumented(one)] == [], case.text()
        refused += told.refused[:1]
    assert len(refused) <= _REFUSED_AT_MOST, refused

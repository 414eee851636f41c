"""Schemas, migrations and writes that nobody has thought of, by fixed seeds: nothing is lost, or it is refused before COMMIT.

`make fuzz` goes on with new seeds. What it finds becomes a test in `test_found.py`.
"""

from __future__ import annotations

import pytest

from .property.case import Case, Told
from .property.fuzz import run_case
from .property.reasons import is_made_anew, undocumented
from .servers import Server, share

pytestmark = pytest.mark.slow

_CASES = 60
"""Of each server, which has seeds of its own."""
_EACH = 20
_REFUSED_AT_MOST = 1
"""Of so many cases; what is made anew of something else is counted apart."""


def _ended(server: Server, seed: int) -> Told:
    case = Case(seed)
    told = run_case(server, case, draw=True)
    assert [one for one in told.refused + told.stopped if undocumented(one)] == [], case.text()
    return told


@pytest.mark.parametrize("first", share(range(0, _CASES, _EACH), 0, 3))
def test_nothing_is_lost(first: int, server: Server) -> None:
    seeds = [number * 100 + server.version for number in range(first, first + _EACH)]
    told = [_ended(server, seed) for seed in seeds]
    refused = [why for one in told for why in one.refused if not is_made_anew(why)]
    assert len(refused) <= _REFUSED_AT_MOST, refused

"""Makes a case smaller that fails: what it fails without is left out, until nothing more can be."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator

from .case import Case

Fails = Callable[[Case], bool]


def smaller(case: Case, fails: Fails, *, seconds: float) -> Case:
    """Return a case that fails as this one does, with as little in it as could be found in the time."""
    ends, found, progress = time.monotonic() + seconds, case, True
    while progress:
        progress = False
        for one in _with_less(found):
            if time.monotonic() > ends:
                return found
            if fails(copy.deepcopy(one)):
                found, progress = one, True
                break
    return found


def _with_less(case: Case) -> Iterator[Case]:
    """Yield the case without one of its parts, the large ones first."""
    for at in reversed(range(len(case.migrations))):
        yield _without(case, lambda one, at=at: one.migrations.pop(at))
    for step in case.writes:
        if case.writes[step]:
            yield _without(case, lambda one, step=step: one.writes[step].clear())
    for number, transactions in enumerate(case.migrations):
        for at in reversed(range(len(transactions))):
            if len(transactions) > 1:
                yield _without(case, lambda one, n=number, at=at: one.migrations[n].pop(at))
    yield from _without_statements(case)


def _without_statements(case: Case) -> Iterator[Case]:
    for width in (4, 1):
        for at in reversed(range(0, len(case.before), width)):
            yield _without(case, lambda one, at=at, width=width: _cut(one.before, at, width))
    for number, transactions in enumerate(case.migrations):
        for place, statements in enumerate(transactions):
            for at in reversed(range(len(statements))):
                yield _without(case, lambda one, n=number, p=place, at=at: one.migrations[n][p].pop(at))
    for step, written in case.writes.items():
        for at in reversed(range(len(written))):
            yield _without(case, lambda one, step=step, at=at: one.writes[step].pop(at))


def _cut(some: list[str], at: int, width: int) -> None:
    del some[at : at + width]


def _without(case: Case, take: Callable[[Case], object]) -> Case:
    one = copy.deepcopy(case)
    take(one)
    return one

"""Privileges as data: who holds which, from whom, and may give it on. Pure.

Source: PostgreSQL 15 documentation, 5.7 "Privileges"; src/backend/utils/adt/acl.c, aclnewowner.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

Holding = tuple[int, int, str]
"""Grantor, grantee (0: PUBLIC) and privilege."""
Items = dict[Holding, bool]
"""Whether it may be given on, by holding."""


class Step(NamedTuple):
    """One privilege that is to be given or taken; with None it is not held, else it tells whether it may be given on."""

    grantor: int
    grantee: int
    privilege: str
    since: bool | None
    to: bool | None

    @property
    def holding(self) -> Holding:
        """What it is about."""
        return self.grantor, self.grantee, self.privilege

    @property
    def gives(self) -> bool:
        """Whether more is held after it than before."""
        return self.since is None or bool(self.to)


class Entangled(Exception):
    """A privilege cannot be taken: its holder has given it on, to others that are to keep it."""


def items_of(told: Iterable[tuple[int, int, str, bool]]) -> Items:
    """Return privileges as `aclexplode` tells them."""
    return {(grantor, grantee, privilege): grantable for grantor, grantee, privilege, grantable in told}


def handed_over(items: Items, old: int, new: int) -> Items:
    """Return privileges as PostgreSQL leaves them when the thing gets another owner."""
    found: Items = {}
    for (grantor, grantee, privilege), grantable in items.items():
        key = (new if grantor == old else grantor, new if grantee == old else grantee, privilege)
        found[key] = found.get(key, False) or grantable
    return found


def steps(since: Items, to: Items) -> list[Step]:
    """Return what leads from the one to the other."""
    return [
        Step(*key, since.get(key), to.get(key))
        for key in sorted(since.keys() | to.keys())
        if since.get(key) != to.get(key)
    ]


def in_order(wanted: list[Step], there: Items, owner: int) -> Iterator[Step]:
    """Yield steps so that each can be taken: who gives must have got it before, and who took it on must have lost it.

    Args:
        wanted: What is to be done.
        there: What is held.
        owner: Of the thing: may always give.

    Raises:
        Entangled: There is no such order.
    """
    left, now = list(wanted), dict(there)
    while left:
        step = next((one for one in left if _is_possible(one, now, owner)), None)
        if step is None:
            raise Entangled
        left.remove(step)
        now.pop(step.holding, None)
        if step.to is not None:
            now[step.holding] = step.to
        yield step


def _is_possible(step: Step, now: Items, owner: int) -> bool:
    if step.gives:
        may = {grantee for (_, grantee, privilege), on in now.items() if on and privilege == step.privilege}
        return step.grantor == owner or step.grantor in may
    others = [key for key in now if key != step.holding and key[1:] == step.holding[1:]]
    passed_on = any(key[0] == step.grantee and key[2] == step.privilege and key[1] != key[0] for key in now)
    return step.grantee == owner or not step.since or not passed_on or any(now[key] for key in others)

"""Folding the history of rows one by one: for keys that moved, rows without a key, and what others wrote in between.

Pure: no session. The set-based form in `fold.py` is for all other rows, and gives the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

Image = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One logged change of a row, told in the direction in which it is to be undone.

    Attributes:
        seq: Order.
        old: What it was; None: there was no row.
        new: What it became; None: there is no row.
        known: Indexes of columns that the images have.
        okey: Key of `old`.
        nkey: Key of `new`.
        old_xmin: Transaction that had written `old`.
        new_xmin: Transaction that wrote `new`.
    """

    seq: int
    old: Image | None
    new: Image | None
    known: frozenset[int]
    okey: Image | None
    nkey: Image | None
    old_xmin: str | None
    new_xmin: str | None


@dataclass(slots=True)
class Chain:
    """All that happened to one row.

    Attributes:
        old: What it is to be again; None: no row.
        new: What it was when the last step had ended; None: no row.
        old_known: Columns of `old`.
        new_known: Columns of `new`.
        okey: Key of `old`.
        nkey: Key of `new`.
        xmin: Transaction that wrote `new`.
        sure: Nobody else has written the row between the steps.
        last: Order of the last step.
        steps: Order of every step.
        made: The first step made the row, whoever it belongs to since.
        kept: Index of a column, the value that somebody wrote between the steps, and what it was before.
    """

    old: Image | None
    new: Image | None
    old_known: frozenset[int]
    new_known: frozenset[int]
    okey: Image | None
    nkey: Image | None
    xmin: str | None
    sure: bool
    last: int
    steps: list[int]
    made: bool
    kept: list[tuple[int, str | None, str | None]] = field(default_factory=list)


class _Waiting:
    """Chains that may go on, by what tells their rows: a key, or all that is known of a row without one."""

    def __init__(self) -> None:
        self._by: dict[frozenset[int], list[tuple[Image, Chain, int]]] = {}
        self._found: dict[tuple[frozenset[int], frozenset[int]], dict[Image, list[tuple[Chain, int]]]] = {}

    def put(self, known: frozenset[int], image: Image, chain: Chain) -> None:
        self._by.setdefault(known, []).append((image, chain, chain.last))
        for (of, both), found in self._found.items():
            if of == known:
                found.setdefault(_only(image, both), []).append((chain, chain.last))

    def take(self, known: frozenset[int], image: Image) -> Chain | None:
        """Return the last one that was put of those that are alike in what is known of both; most columns first."""
        for of in sorted(self._by, key=lambda of: len(of & known), reverse=True):
            both = of & known
            if of and not both:
                continue
            found = self._found.get((of, both))
            if found is None:
                found = self._found[of, both] = {}
                for one, chain, last in self._by[of]:
                    found.setdefault(_only(one, both), []).append((chain, last))
            alike = found.get(_only(image, both), [])
            while alike:
                chain, last = alike.pop()
                if chain.last == last:  # else another step was its next
                    return chain
        return None


def _only(image: Image, known: frozenset[int]) -> Image:
    return tuple(value if i in known else None for i, value in enumerate(image)) if known else image


def fold(steps: Iterable[Step], *, by_value: bool = False) -> list[Chain]:
    """Join the steps of each row, in their order, to one.

    Args:
        steps: Of one table.
        by_value: It has no key: a row is told by all that is known of it. Columns may have come in between.
    """
    chains: list[Chain] = []
    standing, gone = _Waiting(), _Waiting()
    for step in steps:
        known = step.known if by_value else frozenset[int]()
        image, waiting = (step.okey, standing) if step.okey is not None else (step.nkey, gone)
        chain = waiting.take(known, image or ())
        if chain is None:
            chain = _first(step)
            chains.append(chain)
        else:
            _append(chain, step)
        if step.nkey is not None:
            standing.put(known, step.nkey, chain)
        elif step.okey is not None:
            gone.put(known, step.okey, chain)
    return [chain for chain in chains if chain.old is not None or chain.new is not None]


def _first(step: Step) -> Chain:
    return Chain(
        step.old,
        step.new,
        step.known,
        step.known,
        step.okey,
        step.nkey,
        step.new_xmin,
        True,
        step.seq,
        [step.seq],
        step.old is None,
    )


def _append(chain: Chain, step: Step) -> None:
    if step.old is not None and chain.new is not None:
        _take_between(chain, step)
    chain.new, chain.new_known, chain.nkey = step.new, step.known, step.nkey
    chain.xmin, chain.last = step.new_xmin, step.seq
    chain.steps.append(step.seq)


def _take_between(chain: Chain, step: Step) -> None:
    """Take into account what somebody wrote between two steps: it is what the row is to be again."""
    assert step.old is not None and chain.new is not None
    if chain.xmin != step.old_xmin:
        chain.sure = False
    both = step.known & chain.new_known
    other = {i for i in both if step.old[i] != chain.new[i]}
    if not other and chain.old is not None:
        _widen(chain, step)
        return
    if not other:
        return
    if chain.old is None:
        # The migration's own row, which somebody has changed: it is theirs now.
        chain.old, chain.old_known, chain.okey = step.old, step.known, step.okey
        return
    old = list(chain.old)
    for i in sorted(other):
        chain.kept.append((i, step.old[i], old[i]))
        old[i] = step.old[i]
    chain.old = tuple(old)
    _widen(chain, step)


def _widen(chain: Chain, step: Step) -> None:
    """Take the columns from a later step that the first image has not: they were added in between."""
    more = step.known - chain.old_known - chain.new_known
    if not more or chain.old is None or step.old is None:
        return
    chain.old = tuple(step.old[i] if i in more else value for i, value in enumerate(chain.old))
    chain.old_known |= more

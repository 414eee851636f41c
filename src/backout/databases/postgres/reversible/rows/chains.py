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


def fold(steps: Iterable[Step]) -> list[Chain]:
    """Join the steps of each row, in their order, to one."""
    chains: list[Chain] = []
    standing: dict[Image, list[Chain]] = {}
    gone: dict[Image, list[Chain]] = {}
    for step in steps:
        chain = _chain_of(step, standing, gone)
        if chain is None:
            chain = _first(step)
            chains.append(chain)
        else:
            _append(chain, step)
        if step.nkey is not None:
            standing.setdefault(step.nkey, []).append(chain)
        elif step.okey is not None:
            gone.setdefault(step.okey, []).append(chain)
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


def _chain_of(step: Step, standing: dict[Image, list[Chain]], gone: dict[Image, list[Chain]]) -> Chain | None:
    """Take the chain that a step goes on with out of those that wait."""
    key, waiting = (step.okey, standing) if step.okey is not None else (step.nkey, gone)
    found = waiting.get(key or ())
    return found.pop() if found else None


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

"""Two sorted streams of rows, and what happened to each row: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

Happened = Literal["inserted", "updated", "deleted", "after_swap"]
Change = tuple[Happened, tuple[Any, ...], int]
"""What happened, to which key, how many times."""


def by_key(kept: Iterable[tuple[Any, ...]], live: Iterable[tuple[Any, ...]]) -> Iterator[Change]:
    """Yield the differences of two streams of (key …, digest, written after the swap), sorted by their key."""
    lefts, rights = iter(kept), iter(live)
    left, right = next(lefts, None), next(rights, None)
    while left is not None and right is not None:
        if left[:-1] == right[:-1]:
            left, right = next(lefts, None), next(rights, None)
            continue
        left_key, right_key = left[:-2], right[:-2]
        if left_key == right_key:
            yield ("after_swap" if right[-1] else "updated"), left_key, 1
            left, right = next(lefts, None), next(rights, None)
        elif left_key < right_key:
            yield "inserted", left_key, 1
            left = next(lefts, None)
        else:
            yield ("after_swap" if right[-1] else "deleted"), right_key, 1
            right = next(rights, None)
    while left is not None:
        yield "inserted", left[:-2], 1
        left = next(lefts, None)
    while right is not None:
        yield ("after_swap" if right[-1] else "deleted"), right[:-2], 1
        right = next(rights, None)


def by_count(kept: Iterable[tuple[Any, ...]], live: Iterable[tuple[Any, ...]]) -> Iterator[Change]:
    """Yield the differences of two streams of (digest, rows, rows after the swap), sorted by digest.

    Of equal rows those before the swap are matched first; what the kept one still has is matched with rows
    written after it (they may be brought ones).
    """
    lefts, rights = iter(kept), iter(live)
    left, right = next(lefts, None), next(rights, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None
            yield from _counted(left[0], left[1], 0, 0)
            left = next(lefts, None)
        elif left is None or right[0] < left[0]:
            yield from _counted(right[0], 0, right[1], right[2])
            right = next(rights, None)
        else:
            yield from _counted(left[0], left[1], right[1], right[2])
            left, right = next(lefts, None), next(rights, None)


def _counted(digest: Any, kept: int, before: int, after: int) -> Iterator[Change]:
    missing = max(0, kept - before)
    matched = min(missing, after)
    if missing > matched:
        yield "inserted", (digest,), missing - matched
    if before > kept:
        yield "deleted", (digest,), before - kept
    if after > matched:
        yield "after_swap", (digest,), after - matched

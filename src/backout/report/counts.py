"""Rows by table on both sides, as people count them by hand: the biggest differences first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from backout.backup import TableCount
from backout.message import Message, msg

FEW = 10
"""Tables that a plan shows: who is in a hurry looks at what differs most. The report has them all."""


class CountLine(NamedTuple):
    """One table: its rows as text, `about` where they are an estimate."""

    table: str
    now: Message
    then: Message


class CountLines(NamedTuple):
    """Tables, those that differ most first, and what was left out (None: nothing)."""

    lines: tuple[CountLine, ...]
    more: Message | None


def count_lines(counts: Iterable[TableCount], most: int | None = None) -> CountLines:
    """Return one line a table, `most` at most (None: all)."""
    ordered = sorted(counts, key=lambda c: (-_apart(c), c.table))
    here, there = any(c.live is not None for c in ordered), any(c.restored is not None for c in ordered)
    lines = [
        CountLine(c.table, _rows(c.live, c.live_exact, here), _rows(c.restored, c.restored_exact, there))
        for c in ordered[:most]
    ]
    return CountLines(tuple(lines), _more(ordered[len(lines) :]))


def _more(left_out: list[TableCount]) -> Message | None:
    if not left_out:
        return None
    if all(c.live == c.restored for c in left_out):
        return msg("and {tables} more tables, with as many rows on both sides", tables=len(left_out))
    return msg("and {tables} more tables", tables=len(left_out))


def _apart(count: TableCount) -> int:
    return abs((count.live or 0) - (count.restored or 0))


def _rows(rows: int | None, exact: bool, side_known: bool) -> Message:
    """Return rows as text; where other tables of that side are known, a table that is not among them is not there."""
    if rows is None:
        return msg("not there") if side_known else msg("not known")
    return msg("{rows}", rows=f"{rows:,}") if exact else msg("about {rows}", rows=f"{rows:,}")

"""The lock budget: what is estimated to hold the locks of a way for longer is done before it, where that can be; where not, it is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from backout.migration_status import RowsSince

_ROWS_PER_MS = 200
"""Rows that a way writes in a millisecond. Measured: docs/benchmarks.md, "Values computed ahead" (130 to 240)."""

_WRITTEN = ("filled", "converted", "brought", "repaired", "aside")


def rows_within(budget_ms: float) -> int:
    """Return from how many rows on it takes longer to write them than the locks may be held."""
    return max(1, round(budget_ms * _ROWS_PER_MS))


def over_budget(
    rows: Sequence[RowsSince], ahead: Mapping[str, str | None], budget_ms: float
) -> Iterator[str]:
    """Yield, for people, what would hold the locks for longer, as it is not done before. Pure.

    Args:
        rows: What a way would write.
        ahead: By column or constraint: why it cannot be done before; None: it can.
        budget_ms: For how long the locks may be held.
    """
    for one in rows:
        if one.kind not in _WRITTEN or (one.rows or 0) < rows_within(budget_ms):
            continue
        why = ahead.get(one.what, "there is no way to do this before")
        if why is not None:
            yield (
                f"{one.rows} row(s) are written for {one.what} while tables are locked, for about {(one.rows or 0) / _ROWS_PER_MS:.0f} ms, "
                f"and the lock budget is {budget_ms:g} ms: {why}"
            )

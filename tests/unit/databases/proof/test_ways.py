"""Every kind of change that the journal knows has its time."""

from __future__ import annotations

from backout.databases.postgres.proof.ways import way_of
from backout.databases.postgres.reversible.journal import Entry
from backout.migration_proof import Way


def _way(kind: str, **operation: object) -> Way:
    return way_of(Entry(1, 1, 1, kind, dict(operation), "applied"))


def test_ways() -> None:
    assert _way("table.hidden") is Way.AT_ONCE
    assert _way("column.retyped") is Way.ROWS_SINCE
    assert _way("placed") is Way.WHOLE_TABLE
    assert _way("constraint.dropped", dropped={"kind": "f"}) is Way.BACKGROUND
    assert _way("constraint.dropped", dropped={"kind": "x"}) is Way.WHOLE_TABLE
    assert _way("views", before=[{"kind": "v"}]) is Way.AT_ONCE
    assert _way("views", before=[{"kind": "m"}]) is Way.BACKGROUND

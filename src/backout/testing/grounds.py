"""What every place that keeps schemas and quarantines promises."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from backout.platforms.keeping import GroundsStore
from backout.release import Quarantine
from backout.schema import Schema


def check_grounds_store(make: Callable[[], GroundsStore]) -> None:
    """Assert that what is written is read, by another process too; what was there is left alone.

    Args:
        make: Returns a store on the same place, as another process would; it must be empty at first.
    """
    here, there = make(), make()
    one, two = (Schema(objects={"type public.kind": f"enum {number}"}) for number in range(2))
    assert there.read_schemas({one.fingerprint}) == ()
    here.write_schema(one)
    here.write_schema(one)
    here.write_schema(two)
    assert there.read_schemas({one.fingerprint}) == (one,)
    assert {s.fingerprint for s in there.read_schemas({one.fingerprint, two.fingerprint, "sha256:0"})} == {
        one.fingerprint,
        two.fingerprint,
    }
    assert there.read_quarantines() == ()
    first, second = (Quarantine(version=v, reason="bad", since=datetime(2026, 1, 1, tzinfo=UTC)) for v in ("v 1", "v_1"))  # fmt: skip
    here.write_quarantine(first)
    there.write_quarantine(second)
    worse = first.model_copy(update={"reason": "worse"})
    here.write_quarantine(worse)
    assert {q.version: q for q in there.read_quarantines()} == {"v 1": worse, "v_1": second}
    there.lift_quarantine("v 1")
    there.lift_quarantine("v 1")
    assert here.read_quarantines() == (second,)

"""What every place that keeps runs promises."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from backout.platforms.keeping import RunEvent, RunStore

_PATIENCE_S = 20.0
_LONG = 3_000_000
"""Characters of a run's plan: more than one object of most stores may hold."""


def event_of(run: str, number: int, *, text: str = "", generation: int = 1) -> RunEvent:
    """Return an event for tests."""
    return RunEvent(
        at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        run=run,
        actor="ops@here",
        generation=generation,
        kind="test.happened",
        body={"number": number, "text": text},
    )


def check_run_store(make: Callable[[], RunStore]) -> None:
    """Assert append by comparison, order, and room.

    Args:
        make: Returns a store on the same place, as another process would; it must be empty at first.
    """
    here, there = make(), make()
    assert not here.heads(_PATIENCE_S) and here.read("run-a", _PATIENCE_S) == ()
    one, two, three, four = (event_of("run-a", number) for number in range(4))

    def append(store: RunStore, *events: RunEvent, after: RunEvent | None) -> bool:
        newest = after.identity if after is not None else None
        return store.append(events[0].run, events, after=newest, patience_s=_PATIENCE_S)

    assert not append(here, two, after=one), "compared with nothing, and wrote"
    assert append(here, one, two, after=None)
    assert there.read("run-a", _PATIENCE_S) == (one, two)
    assert not append(there, one, after=None), "there was a run, and it was begun anew"
    assert append(there, three, after=two)
    assert not append(here, four, after=two), "somebody else wrote meanwhile, and was not noticed"
    assert append(here, four, after=three), "what is newest was told, and nothing was written"
    assert make().read("run-a", _PATIENCE_S) == (one, two, three, four)
    other = event_of("run-b", 9)
    assert append(here, other, after=None)
    heads = {"run-a": four.identity, "run-b": other.identity}
    assert dict(make().heads(_PATIENCE_S)) == heads
    _check_room(make)


def _check_room(make: Callable[[], RunStore]) -> None:
    """Assert that a run may be longer than any one object."""
    store = make()
    # What repeats itself packs well, and what stays short is not packed: both are to fit.
    whole = [event_of("run-c", 0, text="a plan " * (_LONG // 7))]
    whole += [event_of("run-c", number, text=f"{number} " * 6000) for number in range(1, 200)]
    assert store.append("run-c", whole[:150], after=None, patience_s=_PATIENCE_S)
    for event, before in zip(whole[150:], whole[149:], strict=False):
        assert store.append("run-c", [event], after=before.identity, patience_s=_PATIENCE_S)
    assert list(make().read("run-c", _PATIENCE_S)) == whole
    assert make().heads(_PATIENCE_S)["run-c"] == whole[-1].identity

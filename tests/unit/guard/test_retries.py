"""A request counts once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backout.guard.retries import FirstTries, State


@given(ids=st.lists(st.text("ab", max_size=3), max_size=60), cut=st.integers(0, 60))
def test_the_first_try_counts_also_after_a_restart(ids: list[str], cut: int) -> None:
    before = FirstTries()
    first = before.only_first(ids[:cut])
    kept = State.model_validate_json(before.state.model_dump_json())
    assert [*first, *FirstTries(kept).only_first(ids[cut:])] == [
        one not in ids[:at] for at, one in enumerate(ids)
    ]


def test_memory_is_bounded_and_the_oldest_id_is_forgotten_first() -> None:
    tries = FirstTries(State(kept=3))
    assert tries.only_first(["a", "b", "c", "a", "d"]) == [True, True, True, False, True]
    assert len(tries.state.seen) == 3
    assert tries.only_first(["b", "c", "d"]) == [False, False, False]
    assert tries.is_first("a")


def test_no_id_can_be_read_from_what_is_kept() -> None:
    tries = FirstTries()
    tries.is_first("session-of-somebody")
    assert "session-of-somebody" not in tries.state.model_dump_json()

"""A request counts once."""

from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

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
    assert len(b64decode(tries.state.seen)) == 3 * 6
    assert tries.only_first(["b", "c", "d"]) == [False, False, False]
    assert tries.is_first("a")


def test_no_id_can_be_read_from_what_is_kept() -> None:
    tries = FirstTries()
    tries.is_first("session-of-somebody")
    assert "session-of-somebody" not in tries.state.model_dump_json()


def test_a_hundred_thousand_ids_are_less_than_a_megabyte_on_disk() -> None:
    tries = FirstTries()
    tries.only_first(str(number) for number in range(100_001))
    assert len(tries.state.model_dump_json()) < 1_000_000


@pytest.mark.parametrize("seen", ["AAAA", "?", "AAAAA"])
def test_what_was_cut_short_is_no_state(seen: str) -> None:
    with pytest.raises(ValidationError):
        State(seen=seen)

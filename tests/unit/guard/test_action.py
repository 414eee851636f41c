"""What follows from a verdict, and what keeps the guard from acting by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from backout.guard import Say
from backout.guard.action import Act, Standing, decide_action
from backout.message import msg

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
FREE = Standing(automatic=True, age_s=60, within_s=3600)


def act(standing: Standing, say: Say = Say.BACK_OUT) -> Act:
    return decide_action(say, standing, NOW).act


@pytest.mark.parametrize("say", [Say.CONTINUE, Say.CANNOT_TELL])
def test_nothing_follows_from_anything_but_harm(say: Say) -> None:
    assert act(FREE, say) is Act.NOTHING


def test_it_goes_back_by_itself_only_where_all_speaks_for_it() -> None:
    assert act(FREE) is Act.BACK_OUT
    assert act(FREE.model_copy(update={"last_automatic_at": NOW - timedelta(hours=24)})) is Act.BACK_OUT


@pytest.mark.parametrize(
    ("against", "word"),
    [
        ({"automatic": False}, "guard.action"),
        ({"age_s": 3601.0}, "3601 s old"),
        ({"last_automatic_at": NOW - timedelta(hours=23)}, "went back by itself"),
        ({"age_s": -5.0}, "still to come"),
        ({"stale": msg("errors: the newest data are 900 s old")}, "900 s old"),
        ({"frozen": msg("v2 is frozen")}, "v2 is frozen"),
        ({"unknown": msg("the database does not answer")}, "does not answer"),
    ],
)
def test_otherwise_it_asks_and_says_why(against: dict[str, object], word: str) -> None:
    found = decide_action(Say.BACK_OUT, FREE.model_copy(update=against), NOW)
    assert found.act is Act.ASK
    (why,) = found.reasons
    assert word in str(why)


def test_all_that_speaks_against_it_is_said() -> None:
    standing = FREE.model_copy(update={"automatic": False, "age_s": 9999.0})
    assert len(decide_action(Say.BACK_OUT, standing, NOW).reasons) == 2


@pytest.mark.parametrize("against", [{"unsafe": msg("rows would be lost")}, {"came_by_way_back": True}])
def test_where_the_way_back_does_harm_it_freezes_even_if_it_may_act(against: dict[str, object]) -> None:
    assert act(FREE.model_copy(update=against)) is Act.FREEZE


def test_paused_it_does_nothing_whatever_else_is() -> None:
    why = msg("paused by ann")
    standing = FREE.model_copy(update={"paused": why, "unsafe": msg("rows would be lost")})
    found = decide_action(Say.BACK_OUT, standing, NOW)
    assert (found.act, found.reasons) == (Act.NOTHING, (why,))

"""What a canary gets next, and how requests are divided without it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from backout.canary import Canary, Meant, Word
from backout.errors import BackoutError, NotPossible, UnknownVersion, UsageError
from backout.message import msg
from backout.observed import Answer, SideNow, SidesNow
from backout.plan.canary import divided, refuse_unready, to_next, to_start, to_stop, without

STEPS = (1, 5, 25, 50, 100)
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
GREEN = Meant(version="v2", ref="v2", side="green", control="blue", share=5)


def now(unready: str = "", runs: dict[str, str | None] | None = None, **shares: int) -> SidesNow:
    """Return sides with these shares; blue runs v1, green v2, any other v0."""
    versions: dict[str, str | None] = {"blue": "v1", "green": "v2"} | (runs or {})
    return SidesNow(
        sides=tuple(
            SideNow(
                name=name,
                version=versions.get(name, "v0"),
                not_ready=msg("it is down") if name == unready else None,
                share=share,
                admits=bool(share),
                healthy=Answer.UNKNOWN,
                inside=0,
            )
            for name, share in shares.items()
        ),
        kept=Answer.YES,
    )


def stands(meant: Meant | None = GREEN, **more: object) -> Canary:
    return Canary.model_validate({"meant": meant, "since": NOON, **more})


def stopped(side: str) -> Canary:
    return Canary(stopped=Word(at=NOON, by="ana@web1", side=side, version="v2"))


def test_a_canary_starts_with_the_first_step_beside_the_side_that_has_all():
    assert to_start(now(blue=100, green=0), "v2", "v2", 1) == GREEN.model_copy(update={"share": 1})


def test_typed_twice_it_is_as_it_is():
    assert to_start(now(blue=99, green=1), "v2", "v2", 1).control == "blue"


@pytest.mark.parametrize(
    ("shares", "version", "error", "told"),
    [
        ({"blue": 100, "green": 0}, "v9", UnknownVersion, "No side runs v9: blue v1, green v2"),
        ({"blue": 0, "green": 100}, "v2", NotPossible, "gets all requests already"),
        ({"blue": 95, "green": 5}, "v2", NotPossible, "divided already: blue 95 %, green 5 %"),
        ({"blue": 60, "green": 0, "old": 40}, "v2", NotPossible, "divided already"),
        ({"blue": 98, "green": 1, "old": 1}, "v2", NotPossible, "divided already"),
        ({"blue": 0, "green": 0}, "v2", NotPossible, "divided already: blue 0 %, green 0 %"),
    ],
)
def test_it_does_not_start_where_that_is_not_what_stands(shares, version, error, told):
    with pytest.raises(error, match=told) as caught:
        to_start(now(**shares), version, version, 1)
    assert caught.value.next_command


@pytest.mark.parametrize(("share", "following"), [(1, 5), (5, 25), (25, 50), (50, 100)])
def test_the_next_step_is_the_one_after_what_the_router_says(share, following):
    """Whatever was meant: a run may have been killed before the router was told."""
    found = to_next(now(blue=100 - share, green=share), stands(), STEPS)
    assert found == GREEN.model_copy(update={"share": following})


@pytest.mark.parametrize(
    ("shares", "told", "following"),
    [
        ({"blue": 93, "green": 7}, "That is no step", "backout canary stop"),
        ({"blue": 100, "green": 0}, "blue 100 %, green 0 %", "backout canary start v2"),
        ({"blue": 90, "green": 5, "old": 5}, "That is no step", "backout canary stop"),
        ({"blue": 0, "green": 0}, "That is no step", "backout canary stop"),
        ({"blue": 0, "green": 100}, "gets all requests already", "backout record"),
    ],
)
def test_what_is_between_two_steps_is_told_and_not_guessed(shares, told, following):
    with pytest.raises(NotPossible, match=told) as caught:
        to_next(now(**shares), stands(), STEPS)
    assert caught.value.next_command == following


def test_no_step_while_it_is_paused_but_by_name():
    paused = stands(paused={"at": NOON, "by": "bob@web2", "reason": "odd"})
    with pytest.raises(NotPossible, match=r"paused by bob@web2 since 2026-11-29 12:00 UTC: odd") as caught:
        to_next(now(blue=95, green=5), paused, STEPS)
    assert caught.value.next_command == "backout canary next --resume"
    assert to_next(now(blue=95, green=5), paused, STEPS, resume=True).share == 25


@pytest.mark.parametrize(
    ("state", "told"), [(Canary(), "No canary is under way"), (stopped("green"), "was stopped by ana@web1")]
)
def test_no_step_where_none_is_under_way(state, told):
    with pytest.raises(NotPossible, match=told):
        to_next(now(blue=95, green=5), state, STEPS)


@pytest.mark.parametrize(("runs", "told"), [("v3", "runs v3"), (None, "does not say what it runs")])
def test_no_step_for_another_version_than_was_started(runs, told):
    with pytest.raises(NotPossible, match=told) as caught:
        to_next(now(runs={"green": runs}, blue=95, green=5), stands(), STEPS)
    assert caught.value.next_command == "backout canary stop"


def test_no_step_for_a_side_that_is_not_ready():
    with pytest.raises(NotPossible, match="Side green is not ready: it is down"):
        refuse_unready(now("green", blue=95, green=5), GREEN)
    refuse_unready(now("blue", blue=95, green=5), GREEN)


def test_all_other_sides_have_none():
    assert divided(["old", "blue", "green"], GREEN) == {"old": 0, "blue": 95, "green": 5}


@pytest.mark.parametrize(
    ("shares", "state", "named", "side"),
    [
        # What a person names goes before everything.
        ({"blue": 95, "green": 5}, stands(), "blue", "blue"),
        ({"blue": 0, "green": 100}, stands(), "green", "green"),
        # What the journal says, also where it has the most, or has none any more.
        ({"blue": 25, "green": 75}, stands(), None, "green"),
        ({"blue": 100, "green": 0}, stands(), None, "green"),
        ({"blue": 100, "green": 0}, stopped("green"), None, "green"),
        ({"blue": 0, "green": 0}, stands(), None, "green"),
        # Without a journal: a share that is a step, and whose rest is none.
        ({"blue": 95, "green": 5}, None, None, "green"),
        ({"blue": 25, "green": 75}, None, None, "blue"),
        ({"blue": 1, "green": 99}, Canary(), None, "blue"),
    ],
)
def test_the_side_that_is_to_lose_all_requests(shares, state, named, side):
    assert to_stop(shares, STEPS, state, named)[0] == side


@pytest.mark.parametrize(
    ("shares", "steps", "state", "told"),
    [
        ({"blue": 50, "green": 50}, STEPS, None, "is not known: blue 50 %, green 50 %"),
        ({"blue": 93, "green": 7}, STEPS, None, "is not known"),
        ({"blue": 25, "green": 75}, (25, 75, 100), None, "is not known"),
        ({"blue": 0, "green": 100}, STEPS, None, "is not known"),
        ({"blue": 90, "green": 5, "old": 5}, STEPS, None, "is not known"),
        ({"blue": 100, "green": 0}, STEPS, Canary(), "No canary is under way"),
        ({"blue": 0, "green": 100}, STEPS, stands(), "gets all requests: it is no canary any more"),
        # The journal's side gets none, and others share: not the one that is meant.
        ({"blue": 95, "old": 5, "green": 0}, STEPS, stands(), "No canary is under way"),
    ],
)
def test_where_nobody_can_tell_it_is_asked_for_by_name(shares, steps, state, told):
    with pytest.raises(NotPossible, match=told) as caught:
        to_stop(shares, steps, state, None)
    proposed = caught.value.next_command
    assert proposed == "backout canary status" or "backout canary stop --side " in proposed
    assert ("--side SIDE" in proposed) is ("not known" in told or "old" in shares), (
        "none is proposed by a guess"
    )


def test_a_side_that_is_none_is_a_slip_of_the_keyboard():
    with pytest.raises(UsageError, match="no side gren: blue, green") as caught:
        to_stop({"blue": 95, "green": 5}, STEPS, None, "gren")
    assert caught.value.next_command == "backout canary status"


@pytest.mark.parametrize(
    ("shares", "control", "after", "heir"),
    [
        ({"blue": 95, "green": 5}, None, {"blue": 100, "green": 0}, "blue"),
        ({"blue": 25, "green": 75}, "blue", {"blue": 100, "green": 0}, "blue"),
        ({"blue": 0, "green": 100}, None, {"blue": 100, "green": 0}, "blue"),
        ({"blue": 60, "green": 5, "old": 35}, None, {"blue": 65, "green": 0, "old": 35}, "blue"),
        ({"blue": 0, "green": 100, "old": 0}, "old", {"blue": 0, "green": 0, "old": 100}, "old"),
        ({"blue": 100, "green": 0}, "blue", {"blue": 100, "green": 0}, None),
        ({"blue": 0, "green": 0}, None, {"blue": 0, "green": 0}, None),
    ],
)
def test_what_it_had_goes_to_who_has_the_others(shares, control, after, heir):
    assert without(shares, "green", control) == (after, heir)


def test_of_several_sides_that_get_none_nobody_is_chosen_at_random():
    with pytest.raises(BackoutError, match="which other side"):
        without({"blue": 0, "green": 100, "old": 0}, "green", None)

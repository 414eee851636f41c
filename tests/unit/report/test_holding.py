from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from backout.execute.held import Held, held_now
from backout.execute.run import Run
from backout.message import msg
from backout.plan.model import Plan
from backout.report.holding import HeldTime, held_time, quarantined_now

ROUTER = Held("router", "queue", certain=True, before=False)


def test_what_was_held_and_not_let_go_is_held(told: dict[str, Run]) -> None:
    assert held_now(told["stopped"]) == (ROUTER,)
    assert held_now(told["pass"]) == ()
    assert held_now(told["created"]) == ()


def test_a_hold_whose_end_is_not_in_the_journal_may_hold(told: dict[str, Run]) -> None:
    assert held_now(told["cut short"]) == (Held("router", "queue", certain=False, before=False),)


def test_a_release_whose_end_is_not_in_the_journal_may_hold_yet(
    story: Callable[..., Any], plan: Callable[..., Plan]
) -> None:
    run = story(plan()).add("run.started").do("03-hold", "04-acme-switch").begin("05-hold-release").run
    assert held_now(run) == (Held("router", "queue", certain=False, before=False),)


def test_what_is_only_let_go_was_held_before(story: Callable[..., Any], plan: Callable[..., Plan]) -> None:
    rest = plan(steps=plan().steps[4:])
    before = story(rest).add("run.started")
    assert held_now(before.run) == (Held("router", "queue", certain=True, before=True),)
    assert held_time(before.run, before.at) == HeldTime(seconds=None, still=True)
    after = before.do("05-hold-release").run
    assert held_now(after) == ()
    assert held_time(after, before.at) == HeldTime(seconds=None, still=False)


def test_held_seconds_run_from_the_first_begin_to_the_last_end(told: dict[str, Run]) -> None:
    run = told["pass"]
    begun, ended = run.progress("03-hold").begun_at, run.progress("05-hold-release").confirmed_at
    assert begun is not None
    assert ended is not None
    assert held_time(run, ended + timedelta(hours=1)) == HeldTime(
        (ended - begun).total_seconds(), still=False
    )


def test_held_seconds_go_on_until_now_while_it_holds(told: dict[str, Run]) -> None:
    begun = told["stopped"].progress("03-hold").begun_at
    assert begun is not None
    assert held_time(told["stopped"], begun + timedelta(seconds=90)) == HeldTime(90.0, still=True)


def test_held_seconds_go_on_while_one_of_two_holds(
    story: Callable[..., Any], plan: Callable[..., Plan]
) -> None:
    whole = plan()
    hold, release = whole.steps[2], whole.steps[4]
    params = {"name": "edge", "mode": "maintenance", "prior": {}}
    edge = hold.model_copy(
        update={"key": "03b-hold", "spec": hold.spec.model_copy(update={"params": params})}
    )
    begun = story(plan(steps=(hold, edge, release))).add("run.started")
    run = begun.do("03-hold", "03b-hold", "05-hold-release").run
    first = run.progress("03-hold").begun_at
    assert first is not None
    assert [h.name for h in held_now(run)] == ["edge"]
    assert held_time(run, first + timedelta(seconds=90)) == HeldTime(90.0, still=True)


def test_a_run_that_never_held_has_no_held_time(told: dict[str, Run]) -> None:
    for name in ("created", "interrupted", "emergency"):
        assert held_time(told[name], told[name].created_at) is None


def test_refusing_writes_keeps_no_request_away(story: Callable[..., Any], plan: Callable[..., Plan]) -> None:
    whole = plan()
    step = whole.steps[2]
    params = {"name": "database", "mode": "refuse_writes", "prior": {}}
    writes = step.model_copy(update={"spec": step.spec.model_copy(update={"params": params})})
    run = story(plan(steps=(writes,))).add("run.started").do("03-hold").run
    assert held_now(run) == (Held("database", "refuse_writes", certain=True, before=False),)
    assert held_time(run, run.created_at) is None


def test_quarantined_is_what_was_quarantined_and_not_let_out(
    told: dict[str, Run], story: Callable[..., Any], plan: Callable[..., Plan]
) -> None:
    assert quarantined_now(told["stopped"]) == ("5.5.0",)
    assert quarantined_now(told["interrupted"]) == ()
    step = plan().steps[1]
    assert step.inverse is not None
    lift = step.model_copy(update={"key": "02-lift", "spec": step.inverse, "inverse": step.spec})
    both = story(plan(steps=(step, lift))).add("run.started").do("02-quarantine", "02-lift").run
    assert quarantined_now(both) == ()
    assert quarantined_now(story(plan(steps=(lift,))).add("run.started").stop("02-lift", msg("x")).run) == ()

"""A hold by every means, from nothing, from half a hold, and when all holds already."""

from __future__ import annotations

from typing import Any

from tests.unit.backed import facts

from backout.facts import Facts
from backout.observed import Answer, HoldFact
from backout.plan.base import World
from backout.plan.holding import plan_hold, plan_release_hold
from backout.plan.model import Plan
from backout.plan.start import world_now
from backout.steps.hold import Hold

from .planned import BAD, DATABASE, GOOD, KINDS, terms

PODS = HoldFact(name="serving pods", modes=("stop",), held=Answer.NO, within_s=320.0)


def seen(**pods: Any) -> Facts:
    return facts(BAD, GOOD, holds=(PODS.model_copy(update=pods), DATABASE), data=None)


def planned(**pods: Any) -> Plan:
    return plan_hold(seen(**pods), KINDS, terms())


def told(plan: Plan) -> list[str]:
    return [" ".join((s.spec.kind, str(s.spec.params.get("name", "")))).strip() for s in plan.steps]


def test_pods_are_stopped_and_get_the_time_that_they_need() -> None:
    plan = planned()
    assert told(plan) == ["hold serving pods", "hold database", "hold.proof"]
    assert plan.steps[0].spec.timeout_s == 320.0 and not plan.findings


def test_a_hold_that_was_cut_short_is_finished() -> None:
    assert told(planned(held=Answer.YES, mode=None))[0] == "hold serving pods"


def test_what_holds_already_is_left_alone_and_said() -> None:
    """Undoing this hold must not let go what an earlier one holds."""
    plan = planned(held=Answer.YES, mode="stop")
    assert told(plan) == ["hold database", "hold.proof"]
    assert [str(f.evidence) for f in plan.findings] == ["serving pods holds already (stop)."]


def test_stopped_pods_keep_requests_away_and_a_service_that_points_elsewhere_does_not() -> None:
    """Connections that are open already stay with the release."""
    start = World(serving=frozenset({"5.5.0"}))
    for mode, acting in (("stop", frozenset[str]()), ("divert", frozenset({"5.5.0"}))):
        (step, *_) = [s.spec for s in planned(modes=(mode,)).steps]
        assert Hold().effect(step, start)[-1].acting == acting
        now = world_now(seen(modes=(mode,), held=Answer.YES, mode=mode))
        assert bool(now.holds) is (not acting)


def test_a_database_that_refuses_connections_is_not_loosened_and_let_go_in_that_mode() -> None:
    shut = {"held": Answer.YES, "mode": "refuse_connections"}
    held = facts(BAD, GOOD, holds=(PODS, DATABASE.model_copy(update=shut)), data=None)
    assert told(plan_hold(held, KINDS, terms())) == ["hold serving pods", "hold.proof"]
    plan = plan_release_hold(held, KINDS, terms())
    assert [s.spec.params["mode"] for s in plan.steps] == ["refuse_connections"]
    # An abort holds again as strongly as before.
    assert [s.inverse.params["mode"] for s in plan.steps if s.inverse] == ["refuse_connections"]

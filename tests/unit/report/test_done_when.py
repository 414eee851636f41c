from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from backout.plan.base import World
from backout.plan.model import Plan, StepSpec
from backout.report.done_when import done_when, first_world
from backout.steps import generic_step_kinds

BEFORE = World(serving=frozenset({"5.5.0"}), code="5.5.0", fingerprint="sha256:a")
STEP = StepSpec(kind="acme.step", target="platform", params={})


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (replace(BEFORE, serving=frozenset()), "No process of 5.5.0 is left."),
        (replace(BEFORE, serving=frozenset({"5.5.0", "5.4.0"})), "5.4.0 is up and answers requests."),
        (replace(BEFORE, code="5.4.0"), "What the platform is told to run is 5.4.0."),
        (replace(BEFORE, code=None), "What the platform is told to run is nothing."),
        (replace(BEFORE, fingerprint="sha256:b"), "The schema's fingerprint is sha256:b."),
        (replace(BEFORE, holds=frozenset({"lb"})), "lb keeps requests away."),
        (BEFORE, "platform shows the values named above."),
    ],
)
def test_an_adapters_step_is_done_when_the_simulated_world_is_there(after: World, said: str) -> None:
    assert [str(m) for m in done_when(STEP, BEFORE, after)] == [said]


def test_a_release_that_starts_behind_a_hold_is_not_said_to_answer() -> None:
    held = replace(BEFORE, serving=frozenset(), holds=frozenset({"lb"}))
    (said,) = done_when(STEP, held, replace(held, serving=frozenset({"5.4.0"})))
    assert str(said) == "5.4.0 is up and ready; requests reach it once they are let through."


@pytest.mark.parametrize("kind", sorted(generic_step_kinds()))
def test_every_generic_step_says_how_to_see_that_it_is_done(kind: str) -> None:
    for mode in ("queue", "maintenance", "refuse_writes", "refuse_connections", "suspend", "new-mode"):
        spec = StepSpec(kind=kind, target="t", params={"name": "lb", "mode": mode, "version": "5.4.0"})
        (said,) = done_when(spec, BEFORE, BEFORE)
        assert "{" not in str(said)
        assert str(said) != "t shows the values named above."


def test_what_a_plan_lets_go_and_never_holds_was_held_before(plan: Callable[..., Plan]) -> None:
    whole = plan()
    assert first_world(whole) == World(serving=frozenset({"5.5.0"}), code="5.5.0")
    later = whole.model_copy(update={"steps": whole.steps[4:]})
    assert first_world(later).holds == {"router"}

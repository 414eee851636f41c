"""What is said of a run in its middle: what is held, which version serves, and what cannot be told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backout.execute.journal import Event
from backout.execute.run import Run, fold
from backout.execute.standing import may_serve, standing, state_of
from backout.message import msg
from backout.plan.abort import plan_abort
from backout.plan.assembly import Terms, numbered
from backout.plan.model import Phase, Plan, Scenario, StepSpec, Verdict
from backout.platforms.command import CommandPlatform
from backout.platforms.command.switch import switch_spec
from backout.platforms.process import ProcessPlatform
from backout.platforms.process.steps import specs
from backout.steps import generic_step_kinds

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KINDS = generic_step_kinds() | dict(ProcessPlatform.step_kinds()) | dict(CommandPlatform.step_kinds())
SERVICE: dict[str, Any] = {"stop_timeout_s": 5.0, "start_timeout_s": 5.0}
OLD: dict[str, Any] = {"ref": "5.3.0", "version": "5.3.0", "digest": None}
BAD: dict[str, Any] = {"ref": "5.4.0", "version": "5.4.0", "digest": None}
VERIFY = StepSpec(kind="verify", target="checks", params={"version": "5.3.0", "ref": "5.3.0"})
SWITCH = (
    (Phase.REVERT_CODE, specs.stop("5.4.0", "5.4.0", SERVICE)),
    (Phase.REVERT_CODE, specs.link(OLD, BAD, SERVICE)),
    (Phase.REVERT_CODE, specs.start("5.3.0", "5.3.0", SERVICE)),
)


def hold(kind: str, mode: str = "queue") -> StepSpec:
    params: dict[str, Any] = {"name": "router", "mode": mode, "prior": {}}
    return StepSpec(kind=kind, target="hold:router", params=params)


PLAIN = (*SWITCH, (Phase.VERIFY, VERIFY))
HELD = ((Phase.HOLD, hold("hold")), *SWITCH, (Phase.RELEASE_HOLD, hold("hold.release")))


def plan(
    steps: Sequence[tuple[Phase, StepSpec]], serving: tuple[tuple[str, ...], ...] = (("5.4.0",),)
) -> Plan:
    return Plan(
        id="plan-1",
        purpose="back",
        service="shop",
        environment="production",
        scenario=Scenario.CODE,
        from_version="5.4.0",
        to_version="5.3.0",
        created_at=NOW,
        expires_at=NOW + timedelta(minutes=30),
        why=msg("It is broken."),
        verdict=Verdict.REVERSIBLE,
        steps=numbered(steps, KINDS),
        serving=serving,
    )


def stopped(made: Plan, done: int, *, begun: bool) -> Run:
    """Return a run whose first steps are done, and whose next one was begun."""
    bodies: list[tuple[str, dict[str, Any]]] = [("run.created", {"plan": made.model_dump(mode="json")})]
    evidence = msg("Seen.").model_dump(mode="json")
    for step in made.steps[:done]:
        bodies.append(("step.begun", {"key": step.key}))
        bodies.append(("step.confirmed", {"key": step.key, "already": False, "evidence": evidence}))
    if begun:
        bodies.append(("step.begun", {"key": made.steps[done].key}))
    return fold(
        Event(seq=n, at=NOW, run="run-1", actor="ana", generation=1, kind=kind, body=body, prev="", digest="")
        for n, (kind, body) in enumerate(bodies, start=1)
    )


@pytest.mark.parametrize(
    ("done", "begun", "said"),
    [
        (0, False, "0 of 4 steps are done; nothing is held. 5.4.0 serves."),
        (
            0,
            True,
            "0 of 4 steps are done; nothing is held. Either 5.4.0 or nothing serves: step 01-process-stop, which did not come to its end, decides.",
        ),
        (1, False, "1 of 4 steps are done; nothing is held. Nothing serves."),
        (1, True, "1 of 4 steps are done; nothing is held. Nothing serves."),  # A link serves nobody.
        (
            2,
            True,
            "2 of 4 steps are done; nothing is held. Either nothing or 5.3.0 serves: step 03-process-start, which did not come to its end, decides.",
        ),
        (3, True, "3 of 4 steps are done; nothing is held. 5.3.0 serves."),
    ],
)
def test_a_run_says_what_serves(done: int, begun: bool, said: str) -> None:
    assert str(standing(stopped(plan(PLAIN), done, begun=begun), KINDS)) == said


def test_what_runs_behind_a_hold_serves_nobody() -> None:
    run = stopped(plan(HELD), 2, begun=False)
    assert str(state_of(run, KINDS)) == (
        "2 of 5 steps are done; router still holds: requests do not reach the service. Nothing runs. "
        "backout abort run-1 lets go and undoes."
    )
    letting_go = stopped(plan(HELD), 4, begun=True)
    assert "router may still hold: requests may not reach the service. 5.3.0 runs." in str(
        standing(letting_go, KINDS)
    )


def test_a_hold_that_refuses_writes_keeps_no_request_away() -> None:
    run = stopped(plan(((Phase.HOLD, hold("hold", "refuse_writes")), *PLAIN)), 1, begun=False)
    assert str(standing(run, KINDS)) == (
        "1 of 5 steps are done; router still holds: writes are refused, requests reach the service. 5.4.0 serves."
    )


def test_a_script_that_was_cut_short_may_have_left_both_or_none() -> None:
    to, back = OLD | {"command": ["bin/deploy"]}, BAD | {"command": ["bin/deploy"]}
    made = plan(((Phase.REVERT_CODE, switch_spec(to, back, cwd="/srv", timeout_s=9.0)),))
    assert str(standing(stopped(made, 0, begun=True), KINDS)).endswith(
        "Either 5.4.0, or 5.3.0 and 5.4.0, or nothing, or 5.3.0 serves: "
        "step 01-command-switch, which did not come to its end, decides."
    )


def test_what_was_not_known_at_the_beginning_is_not_guessed_until_a_step_decides_it() -> None:
    assert may_serve(stopped(plan(PLAIN, ()), 3, begun=False), KINDS) == ()
    assert "Which version runs cannot be told from here" in str(
        standing(stopped(plan(PLAIN, ()), 0, begun=False), KINDS)
    )
    to = OLD | {"command": ["bin/deploy"]}
    script = plan(((Phase.REVERT_CODE, switch_spec(to, None, cwd="/srv", timeout_s=9.0)),), ())
    assert may_serve(stopped(script, 0, begun=True), KINDS) == ()
    assert may_serve(stopped(script, 1, begun=False), KINDS) == (("5.3.0",),)


def test_a_journal_with_steps_that_are_not_installed_any_more_tells_nothing_of_what_serves() -> None:
    run = stopped(plan(PLAIN), 1, begun=False)
    assert may_serve(run, generic_step_kinds()) == ()


def test_an_abort_begins_with_what_the_run_may_have_left() -> None:
    made = plan(PLAIN)
    cut = stopped(made, 2, begun=True)
    left = may_serve(cut, KINDS)
    assert left == ((), ("5.3.0",))
    terms = Terms(plan_id="plan-2", now=NOW, expires_s=60, verify_timeout_s=60, has_database=False)
    undo = plan_abort(made, [s.key for s in made.steps[:3]], KINDS, terms, left)
    before = stopped(undo, 0, begun=False)
    assert str(standing(before, KINDS)).endswith(
        "Either nothing or 5.3.0 serves: what the undone run did not end decides."
    )
    assert may_serve(stopped(undo, 1, begun=False), KINDS) == ((),)
    assert may_serve(stopped(undo, 3, begun=False), KINDS) == (("5.4.0",),)

"""What every kind of step promises, as functions to call from tests; and a small runner to drive steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from backout.clock import Clock, SystemClock
from backout.plan.base import Acting, Probe, Probed, StepKind, World
from backout.plan.model import StepSpec

POLL_S = 0.02


class OpenFence:
    """A fence of one generation that always lets through."""

    def __init__(self, generation: int = 1) -> None:
        self._generation = generation

    @property
    def generation(self) -> int:
        """The fencing token."""
        return self._generation

    def check(self) -> None:
        """Let through."""


def acting_on(
    targets: Mapping[str, object],
    *,
    step_name: str = "run/step",
    generation: int = 1,
    clock: Clock | None = None,
) -> Acting:
    """Return an acting context with an open fence and a minute of time."""
    clock = clock or SystemClock()
    return Acting(
        targets=targets,
        clock=clock,
        fence=OpenFence(generation),
        step_name=step_name,
        deadline_s=clock.monotonic_s() + 60,
    )


def drive(kind: StepKind, spec: StepSpec, acting: Acting) -> Probe:
    """Carry one step out as a runner does: probe, guard, apply, then poll; apply again where it is partial.

    Returns:
        The last probe; its answer is `DONE`, or the step failed.
    """
    probe = kind.probe(spec, acting)
    if probe.answer is not Probed.DONE and not probe.in_progress:
        probe = _apply(kind, spec, acting)
    deadline = acting.clock.monotonic_s() + spec.timeout_s
    while probe.answer is not Probed.DONE and acting.clock.monotonic_s() < deadline:
        if not probe.in_progress:
            if probe.answer is not Probed.PARTIAL:
                return probe
            probe = _apply(kind, spec, acting)
            continue
        acting.clock.wait(POLL_S)
        probe = kind.probe(spec, acting)
    return probe


def check_pure_half(kind: StepKind, spec: StepSpec, world: World) -> None:
    """Assert what is promised of describe, by_hand, hazards, effect and inverse."""
    assert spec.kind == kind.kind
    assert str(kind.describe(spec)).strip(), "describe says nothing"
    commands = kind.by_hand(spec)
    assert commands and all(c.strip() for c in commands), "by_hand has no command to type"
    for hazard in kind.hazards(spec):
        assert str(hazard.what) and str(hazard.then)
    worlds = kind.effect(spec, world)
    assert worlds, "effect yields no world"
    assert kind.effect(spec, world) == worlds, "effect is not pure"
    finished = worlds[-1]
    assert kind.effect(spec, finished)[-1] == finished, "applying twice gives another world"
    assert StepSpec.model_validate_json(spec.model_dump_json()) == spec, "the spec does not survive a file"
    check_inverse(kind, spec)


def check_inverse(kind: StepKind, spec: StepSpec) -> None:
    """Assert that the inverse of the inverse is the step itself."""
    inverse = kind.inverse(spec)
    if inverse is None or inverse.kind != kind.kind:
        return
    back = kind.inverse(inverse)
    assert back is not None and (back.kind, back.params) == (spec.kind, spec.params), (
        "inverse of inverse differs"
    )


def check_inverses(kinds: Mapping[str, StepKind], specs: Iterable[StepSpec]) -> None:
    """Assert the same across kinds: stop and start undo each other."""
    for spec in specs:
        inverse = kinds[spec.kind].inverse(spec)
        if inverse is None:
            continue
        back = kinds[inverse.kind].inverse(inverse)
        assert back is not None, f"{inverse.kind} has no inverse"
        assert (back.kind, back.params) == (spec.kind, spec.params), (
            f"inverse of inverse of {spec.kind} differs"
        )


def check_probe_changes_nothing(
    kind: StepKind, spec: StepSpec, acting: Acting, snapshot: Callable[[], object]
) -> None:
    """Assert that two probes leave the target as it was and give the same answer.

    Args:
        kind: The kind of step.
        spec: The step.
        acting: Whom it acts on.
        snapshot: Returns everything that a probe could change, comparable.
    """
    before = snapshot()
    answers = [kind.probe(spec, acting).answer for _ in range(2)]
    assert snapshot() == before, "probe changed something"
    assert answers[0] == answers[1], "probe answers differ with nothing in between"


def wait_until(what: Callable[[], bool], *, seconds: float = 15.0) -> None:
    """Poll until something holds; raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "did not become true in time"
        time.sleep(POLL_S)


def _apply(kind: StepKind, spec: StepSpec, acting: Acting) -> Probe:
    kind.guard(spec, acting)
    kind.apply(spec, acting)
    return kind.probe(spec, acting)

"""Runs a plan on a model of the world and proves what must hold between any two steps.

The invariant (docs/concepts.md): after every step, and in every world that a step cut short may leave
behind, each version that can act (`World.acting`) can use the schema as it then stands. A pair of version
and schema that was there before the plan began is not the plan's doing and is allowed to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from backout.observed import Answer
from backout.plan.base import StepKind, World
from backout.plan.model import PlannedStep

CanUse = Callable[[str, str | None], Answer]


@dataclass(frozen=True, slots=True)
class Visited:
    """One world of the simulation.

    Attributes:
        after: Key of the step that led here; None before the first.
        finished: Whether the step had come to its end in this world.
    """

    after: str | None
    finished: bool
    world: World


@dataclass(frozen=True, slots=True)
class Violation:
    """A version would act on a schema that it is not known to be able to use."""

    after: str | None
    version: str
    fingerprint: str | None
    answer: Answer


def simulate(steps: Sequence[PlannedStep], kinds: Mapping[str, StepKind], start: World) -> Iterator[Visited]:
    """Yield every world that the plan passes through or may be left in, in order."""
    world = start
    yield Visited(None, True, world)
    for step in steps:
        worlds = kinds[step.spec.kind].effect(step.spec, world)
        for half_done in worlds[:-1]:
            yield Visited(step.key, False, half_done)
        world = worlds[-1]
        yield Visited(step.key, True, world)


def violations(visited: Sequence[Visited], can_use: CanUse) -> tuple[Violation, ...]:
    """Return every world in which the invariant does not hold, with the version that breaks it."""
    start = visited[0].world
    inherited = {(version, start.fingerprint) for version in start.acting}
    found = []
    for visit in visited:
        for version in sorted(visit.world.acting):
            pair = (version, visit.world.fingerprint)
            if pair in inherited:
                continue
            answer = can_use(*pair)
            if answer is not Answer.YES:
                found.append(Violation(visit.after, *pair, answer))
    return tuple(found)


def held_steps(visited: Sequence[Visited]) -> tuple[str, ...]:
    """Return the keys of steps that begin while requests are held."""
    return _begun_while(visited, lambda world: bool(world.holds))


def down_steps(visited: Sequence[Visited]) -> tuple[str, ...]:
    """Return the keys of steps that begin, or pass through a world, with requests let in and nothing to serve them."""
    return _begun_while(visited, lambda world: not world.holds and not world.serving)


def _begun_while(visited: Sequence[Visited], condition: Callable[[World], bool]) -> tuple[str, ...]:
    keys: list[str] = []
    before = visited[0].world
    for visit in visited[1:]:
        assert visit.after is not None
        # A step that ends in such a world may have spent its whole time in it: a service that drains is down already.
        if (condition(before) or condition(visit.world)) and visit.after not in keys:
            keys.append(visit.after)
        if visit.finished:
            before = visit.world
    return tuple(keys)

"""What the steps of the `sides` platform are told. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backout.document import Json
from backout.errors import NotPossible
from backout.plan.model import Retry, StepSpec

if TYPE_CHECKING:
    from backout.platforms.sides.options import SidesOptions

READY, SHIFT, DRAIN = "sides.ready", "sides.shift", "sides.drain"
START, STOP = "sides.start", "sides.stop"
LOOK_S = 10.0
"""Seconds in which the router has to say how requests are divided."""
CUTTING_S = 10.0
"""Seconds in which what is still inside is ended, where the router does not say otherwise."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Where requests are to go.

    Attributes:
        side: The one that gains.
        ref: What that side says it runs.
        version: What people call that.
        shares: The shares afterwards.
        also: Other sides that run the same, and are not the ones.
    """

    side: str
    ref: str
    version: str
    shares: Mapping[str, int]
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How requests are divided now.

    Attributes:
        version: What gets most of them; None: it is not known.
        shares: The shares now.
        refs: What each side says it runs; None: it does not say.
    """

    version: str | None
    shares: Mapping[str, int]
    refs: Mapping[str, Json]


def way(
    goal: Goal,
    now: Standing,
    options: SidesOptions,
    by_hand: Callable[[Mapping[str, int]], Sequence[str]],
    cutting_s: float = CUTTING_S,
) -> tuple[StepSpec, ...]:
    """Return the steps that divide requests so; `by_hand` tells what a person would type to divide them.

    `cutting_s`: seconds that the router may take to end what is still inside.
    """
    previous = now.version
    try:
        undone: list[Json] = list(by_hand(now.shares))
    except NotPossible:
        # Weights of a person that the router cannot make again: the way there is open, the one back is none.
        undone, previous = [], None
    before: dict[str, Json] = {"shares": dict(now.shares), "version": previous, "by_hand": undone}
    after: dict[str, Json] = {
        "shares": dict(goal.shares),
        "version": goal.version,
        "by_hand": list(by_hand(goal.shares)),
    }

    def at(name: str, what: Json, called: str, *, undone: bool) -> dict[str, Json]:
        own = options.sides[name]
        return {
            "side": name,
            "ref": what,
            "version": called,
            "url": own.ready_url or own.version_url,
            "ready_s": options.ready_timeout_s,
            "limit_s": options.drain_timeout_s,
            "cutting_s": cutting_s,
            "undone": undone,
        }

    chosen = at(goal.side, goal.ref, goal.version, undone=not now.shares[goal.side])
    if goal.also:
        chosen["also"] = list(goal.also)
    return (
        # Undone, it drains: if it got nothing before.
        ready(chosen),
        shift(after, before),
        *(
            drain(
                at(
                    name,
                    now.refs[name],
                    str(now.refs[name] or goal.version),
                    undone=bool(now.shares[name] and now.refs[name]),
                )
            )
            for name in sorted(goal.shares)
            if not goal.shares[name]
        ),
    )


def ready(side: dict[str, Json]) -> StepSpec:
    """Return the step that waits until a side is ready; `undone` in it: it is taken back by `drain`."""
    return StepSpec(kind=READY, target="platform", params=side, timeout_s=float(str(side["ready_s"])))


def drain(side: dict[str, Json]) -> StepSpec:
    """Return the step that waits until nothing is inside a side; `undone` in it: it is taken back by `ready`."""
    timeout_s = float(str(side["limit_s"])) + cutting_s(side)
    return StepSpec(kind=DRAIN, target="platform", params=side, retry=Retry.SAFE, timeout_s=timeout_s)


def running(
    kind: str, side: str, ref: str, version: str, commands: Mapping[str, str], timeout_s: float
) -> StepSpec:
    """Return the step that starts or stops a side; `commands`: `start` and `stop`, for people."""
    params: dict[str, Json] = {"side": side, "ref": ref, "version": version, **commands}
    return StepSpec(kind=kind, target="platform", params=params, retry=Retry.SAFE, timeout_s=timeout_s)


def cutting_s(side: Mapping[str, Json]) -> float:
    """Return the seconds, at the end of a drain, in which what is still inside is ended."""
    return float(str(side.get("cutting_s", CUTTING_S)))


def shift(to: dict[str, Json], previous: dict[str, Json], *, undoes: bool = False) -> StepSpec:
    """Return the step that divides requests so.

    Args:
        to: The shares, the version that gets most, and what a person would type.
        previous: The same of what is so now.
        undoes: It takes such a step back.
    """
    params: dict[str, Json] = {**to, "previous": previous, "undoes": undoes}
    return StepSpec(kind=SHIFT, target="platform", params=params, retry=Retry.SAFE, timeout_s=60.0)


def shares_in(told: Json) -> dict[str, int]:
    """Return shares as they stand in a step."""
    assert isinstance(told, dict)
    return {name: int(str(share)) for name, share in told.items()}

"""`sides.drain`: waits until nothing is inside a side that gets no requests any more, and ends what stays."""

from __future__ import annotations

from typing import ClassVar

from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.platforms.sides.platform import SidesPlatform
from backout.platforms.sides.steps import specs


class DrainStep:
    """Requests end by themselves; what is still open at the limit (WebSockets, long polls) is cut off."""

    kind: ClassVar[str] = specs.DRAIN

    def describe(self, spec: StepSpec) -> Message:
        """Say what the step does."""
        return msg(
            "Wait until nothing is inside side {side}; after {s} s, end what is.",
            side=str(spec.params["side"]),
            s=str(spec.params["limit_s"]),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would type."""
        return ("backout doctor   # tells what is inside each side",)

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("Connections stay open for longer than {s} s", s=str(spec.params["limit_s"])),
                then=msg("They are ended; their clients connect again, to the side that takes requests"),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Nothing that the plan goes by changes."""
        return (world,)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Return the look that this side is ready: undone, it gets requests again. None if it got none before."""
        return specs.ready(dict(spec.params)) if spec.params["undone"] else None

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask the router what is inside; at the limit it is not waited for any more."""
        side = (
            acting.target(spec.target, SidesPlatform)
            .router.traffic(specs.LOOK_S)
            .of(str(spec.params["side"]))
        )
        evidence = msg("{n} requests or connections are inside side {side}.", n=side.inside, side=side.name)
        if side.inside is None:
            evidence = msg(
                "What is inside side {side} is not known: connections may have been kept.", side=side.name
            )
        if side.admits or side.share:
            return Probe(answer=Probed.NOT_DONE, evidence=msg("Side {side} gets requests.", side=side.name))
        if side.inside == 0:
            return Probe(answer=Probed.DONE, evidence=evidence)
        return Probe(answer=Probed.PARTIAL, evidence=evidence, in_progress=not _is_over(spec, acting))

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Nothing to compare: a side that gets requests is not cut, by the router's own word."""

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """End what is inside, if the time for it is over. Idempotent."""
        name = str(spec.params["side"])
        if not _is_over(spec, acting):
            return Receipt(what=msg("Waiting for what is inside side {side}.", side=name))
        acting.fence.check()
        ended = acting.target(spec.target, SidesPlatform).router.cut(name)
        what = msg("Ended {n} connections of side {side}.", n=ended, side=name)
        if ended is None:
            what = msg("Ended whatever was inside side {side}.", side=name)
        return Receipt(what=what, data={"ended": ended})


def _is_over(spec: StepSpec, acting: Acting) -> bool:
    return acting.clock.monotonic_s() >= acting.deadline_s - specs.cutting_s(spec.params)

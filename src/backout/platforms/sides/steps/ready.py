"""`sides.ready`: waits until a side says that it is ready, and that it runs what is wanted; before it gets requests."""

from __future__ import annotations

from typing import ClassVar

from backout.errors import TargetUnreachable
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.platforms.sides import served
from backout.platforms.sides.platform import SidesPlatform
from backout.platforms.sides.steps import specs


class ReadyStep:
    """Looks only."""

    kind: ClassVar[str] = specs.READY

    def describe(self, spec: StepSpec) -> Message:
        """Say what the step does, and where a choice was made between sides."""
        told = {"side": str(spec.params["side"]), "version": str(spec.params["version"])}
        also = spec.params.get("also")
        if isinstance(also, list):
            others = ", ".join(map(str, also))
            return msg(
                "Wait until side {side} is ready with {version}; {others} runs it, too.",
                **told,
                others=others,
            )
        return msg("Wait until side {side} is ready with {version}.", **told)

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would type."""
        return (f"curl -fsS {spec.params['url']}",)

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("The side is not ready within {s} s", s=spec.timeout_s),
                then=msg("The run stops; requests go on as before"),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Nothing changes."""
        return (world,)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Return the drain of that side: undone, it gets no requests again. None if it got some before."""
        return specs.drain(dict(spec.params)) if spec.params["undone"] else None

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask the side, past the router."""
        platform, name = acting.target(spec.target, SidesPlatform), str(spec.params["side"])
        wanted = str(spec.params["ref"])
        try:
            found = served.version_of(name, platform.options.sides[name], platform.options.timeout_s)
        except TargetUnreachable as error:
            return Probe(answer=Probed.NOT_DONE, evidence=error.what, in_progress=True)
        if found != wanted:
            evidence = msg(
                "Side {side} runs {found}, and not {wanted}.", side=name, found=found, wanted=wanted
            )
            return Probe(answer=Probed.NOT_DONE, evidence=evidence)
        why = platform.not_ready_side(name, platform.router.traffic(specs.LOOK_S))
        if why is not None:
            evidence = msg("Side {side} is not ready: {why}.", side=name, why=why)
            return Probe(answer=Probed.NOT_DONE, evidence=evidence, in_progress=True)
        return Probe(
            answer=Probed.DONE, evidence=msg("Side {side} is ready with {version}.", side=name, version=found)
        )

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Nothing to compare: what is looked for is absolute."""

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Do nothing: a side gets ready by itself."""
        return Receipt(what=msg("Side {side} was asked.", side=str(spec.params["side"])))

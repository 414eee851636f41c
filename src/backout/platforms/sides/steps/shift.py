"""`sides.shift`: divides requests between the sides, at the router, also for its next reload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from backout.document import Json
from backout.errors import LostRace
from backout.message import Message, msg
from backout.observed import Answer
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.platforms.sides.platform import SidesPlatform
from backout.platforms.sides.steps import specs


class ShiftStep:
    """Sides that gain are let in before those that lose are shut out: at every moment one takes requests."""

    kind: ClassVar[str] = specs.SHIFT

    def describe(self, spec: StepSpec) -> Message:
        """Say what the step does."""
        return msg("Divide requests so: {shares}.", shares=told(specs.shares_in(spec.params["shares"])))

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would type at the router."""
        commands = spec.params["by_hand"]
        assert isinstance(commands, list)
        return tuple(map(str, commands))

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("Another person, or a program, divides requests at the same time"),
                then=msg("The run stops and says how they are divided now"),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Before, both take requests for a moment; afterwards the one that is wanted, and with shares of several all go on."""
        version = str(spec.params["version"])
        both = replace(world, serving=world.serving | {version})
        several = sum(bool(one) for one in specs.shares_in(spec.params["shares"]).values()) > 1
        after = both.serving if several else frozenset({version})
        return world, both, replace(world, serving=after, code=version)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Return the shares as they were, if it is known what got them."""
        previous = spec.params["previous"]
        assert isinstance(previous, dict)
        if previous["version"] is None:
            return None
        to: dict[str, Json] = {key: spec.params[key] for key in ("shares", "version", "by_hand")}
        return specs.shift(previous, to, undoes=not spec.params["undoes"])

    def no_inverse_because(self, spec: StepSpec) -> Message:
        """Say how they were divided: by weights that the router cannot make again, or among versions that are not known."""
        previous = spec.params["previous"]
        assert isinstance(previous, dict)
        return msg(
            "Requests were divided so: {shares}; the router cannot do so again, or which version got them is not known.",
            shares=told(specs.shares_in(previous["shares"])),
        )

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Read at the router how requests are divided, and whether that is kept."""
        traffic = acting.target(spec.target, SidesPlatform).router.traffic(specs.LOOK_S)
        wanted = specs.shares_in(spec.params["shares"])
        if traffic.shares != wanted:
            evidence = msg("Requests are divided so: {shares}.", shares=told(traffic.shares))
            return Probe(answer=Probed.NOT_DONE, evidence=evidence)
        sticking = [one.name for one in traffic.sides if one.admits and not wanted[one.name]]
        if sticking:
            evidence = msg(
                "Requests are divided as wanted, and clients that stick to {sides} still reach it.",
                sides=", ".join(sticking),
            )
            return Probe(answer=Probed.PARTIAL, evidence=evidence)
        if traffic.kept is Answer.NO:
            evidence = msg("Requests are divided as wanted, until the router is reloaded.")
            return Probe(answer=Probed.PARTIAL, evidence=evidence)
        if traffic.kept is Answer.UNKNOWN:
            evidence = msg(
                "Requests are divided so: {shares}; whether that is kept when the router is reloaded is not known.",
                shares=told(wanted),
            )
            return Probe(answer=Probed.DONE, evidence=evidence)
        return Probe(
            answer=Probed.DONE, evidence=msg("Requests are divided so: {shares}.", shares=told(wanted))
        )

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Refuse when somebody else has divided them otherwise since the plan was made; a shift cut short is our own."""
        router = acting.target(spec.target, SidesPlatform).router
        found = router.traffic(specs.LOOK_S).shares
        previous = spec.params["previous"]
        assert isinstance(previous, dict)
        wanted = specs.shares_in(spec.params["shares"])
        known = (specs.shares_in(previous["shares"]), wanted)
        # What was cut short is the shift itself, or the one that this undoes.
        if found not in known and not router.begun(known[0] if spec.params["undoes"] else wanted):
            raise LostRace(
                msg(
                    "Requests are divided so now: {found}; the plan was made when it was {before}.",
                    found=told(found),
                    before=told(known[0]),
                ),
                state=msg("Nothing was changed."),
                next_command="backout plan",
            )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Divide them. Idempotent."""
        acting.fence.check()
        wanted = specs.shares_in(spec.params["shares"])
        acting.target(spec.target, SidesPlatform).router.shift(wanted)
        return Receipt(what=msg("Requests are divided so: {shares}.", shares=told(wanted)))


def told(shares: Mapping[str, int]) -> str:
    """Return shares for people: ``blue=100 green=0``."""
    return " ".join(f"{name}={share}" for name, share in sorted(shares.items()))

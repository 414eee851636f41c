"""Holding and letting go, by whatever means are configured."""

from __future__ import annotations

import dataclasses

from backout.errors import LeaseLost
from backout.faults import fault_point
from backout.holds.base import HoldMeans
from backout.message import Message, msg
from backout.observed import (
    DIVERT,
    KEEPS_REQUESTS_AWAY,
    KEEPS_WRITES_AWAY,
    REFUSE_CONNECTIONS,
    REFUSE_WRITES,
    STOP,
    Answer,
)
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec

_PROBE_DEADLINE_S = 5.0


def hold_spec(name: str, mode: str, prior: dict[str, object], timeout_s: float = 30.0) -> StepSpec:
    """Return the step that holds by a means; `prior` is what letting go puts back."""
    return StepSpec.model_validate(
        {
            "kind": "hold",
            "target": f"hold:{name}",
            "params": {"name": name, "mode": mode, "prior": prior},
            "timeout_s": timeout_s,
        }
    )


class _HoldStep:
    """What holding and letting go share."""

    def _means(self, spec: StepSpec, acting: Acting) -> HoldMeans:
        return acting.target(spec.target, HoldMeans)

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Expect nothing: both directions are absolute."""


class Hold(_HoldStep):
    """`hold`: one means keeps requests or writes away."""

    kind = "hold"

    def describe(self, spec: StepSpec) -> Message:
        """Say what is held, and how."""
        templates = {
            "queue": msg(
                "Hold traffic at {name}: requests wait, none is refused.", name=str(spec.params["name"])
            ),
            "maintenance": msg(
                "Stop traffic at {name}: requests are answered 503.", name=str(spec.params["name"])
            ),
            STOP: msg("Stop {name}: nothing is left to answer requests.", name=str(spec.params["name"])),
            DIVERT: msg(
                "Point {name} away from the release; open connections stay.", name=str(spec.params["name"])
            ),
            REFUSE_WRITES: msg("Make {name} refuse writes.", name=str(spec.params["name"])),
            REFUSE_CONNECTIONS: msg(
                "Make {name} refuse writes, and all connections but backout's and superusers'.",
                name=str(spec.params["name"]),
            ),
        }
        mode = str(spec.params["mode"])
        if mode == "maintenance" and "ends_after_s" in spec.params:
            return msg(
                "Stop traffic at {name}: requests are answered 503; after {s} s, end what is inside.",
                name=str(spec.params["name"]),
                s=str(spec.params["ends_after_s"]),
            )
        return templates.get(mode, msg("Suspend {name}.", name=str(spec.params["name"])))

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the tool's own command; the runbook asks the means for theirs."""
        return ("backout hold",)

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        if "ends_after_s" in spec.params:
            return (
                Hazard(
                    what=msg("{name} does not answer.", name=str(spec.params["name"])),
                    then=msg(
                        "The run stops before anything else is changed; resume tries again, abort lets go."
                    ),
                ),
                Hazard(
                    what=msg(
                        "Connections stay open for longer than {s} s", s=str(spec.params["ends_after_s"])
                    ),
                    then=msg("They are ended (WebSockets, long polls); their clients connect again"),
                ),
            )
        return (
            Hazard(
                what=msg(
                    "{name} does not answer, or requests do not drain in time.", name=str(spec.params["name"])
                ),
                then=msg("The run stops before anything else is changed; resume tries again, abort lets go."),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Requests no longer reach any version, for the modes that keep them away."""
        if spec.params["mode"] not in KEEPS_REQUESTS_AWAY:
            return (world,)
        return (world, dataclasses.replace(world, holds=world.holds | {str(spec.params["name"])}))

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Letting go."""
        return spec.model_copy(update={"kind": "hold.release"})

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask the means whether this mode is in force."""
        fact = self._means(spec, acting).observe(_PROBE_DEADLINE_S)
        if fact.held is Answer.UNKNOWN and fact.mode in _in_force(str(spec.params["mode"])):
            evidence = msg(
                "{name} holds ({mode}) in part: requests that came before are still inside, or a reload would change it.",
                name=fact.name,
                mode=fact.mode,
            )
            return Probe(answer=Probed.PARTIAL, evidence=evidence)
        if fact.held is Answer.UNKNOWN:
            return Probe(answer=Probed.UNKNOWN, evidence=msg("{name} does not answer.", name=fact.name))
        if fact.held is Answer.YES and fact.mode in _in_force(str(spec.params["mode"])):
            return Probe(
                answer=Probed.DONE, evidence=msg("{name} holds ({mode}).", name=fact.name, mode=fact.mode)
            )
        return Probe(
            answer=Probed.NOT_DONE,
            evidence=msg("{name} does not hold ({mode}).", name=fact.name, mode=fact.mode),
        )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Hold."""
        means, mode = self._means(spec, acting), str(spec.params["mode"])
        acting.fence.check()
        fault_point(f"hold.{means.name}.before")
        means.hold(mode)
        fault_point(f"hold.{means.name}.after")
        still_ours(acting, msg("{name} holds ({mode}) by this process.", name=means.name, mode=mode))
        return Receipt(what=msg("{name} holds ({mode}).", name=means.name, mode=mode))


def _in_force(mode: str) -> tuple[str, ...]:
    """Return the modes in which this one is in force: who can refuse connections refuses writes, too."""
    return KEEPS_WRITES_AWAY if mode == REFUSE_WRITES else (mode,)


class ReleaseHold(_HoldStep):
    """`hold.release`: one means lets through again, exactly as before."""

    kind = "hold.release"

    def describe(self, spec: StepSpec) -> Message:
        """Say what is let go."""
        return msg("Let traffic and writes through again at {name}.", name=str(spec.params["name"]))

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the tool's own command; the runbook asks the means for theirs."""
        return ("backout release-hold",)

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("{name} does not answer.", name=str(spec.params["name"])),
                then=msg("Requests stay held and the run stops; resume tries again as soon as it answers."),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Requests reach the serving versions again."""
        if spec.params["mode"] not in KEEPS_REQUESTS_AWAY:
            return (world,)
        return (world, dataclasses.replace(world, holds=world.holds - {str(spec.params["name"])}))

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Holding."""
        return spec.model_copy(update={"kind": "hold"})

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask the means whether nothing is held any more."""
        fact = self._means(spec, acting).observe(_PROBE_DEADLINE_S)
        # Where a mode is told, new requests are kept away, or would be after a reload.
        if fact.held is Answer.UNKNOWN and fact.mode is None:
            return Probe(answer=Probed.UNKNOWN, evidence=msg("{name} does not answer.", name=fact.name))
        if fact.held is Answer.NO:
            return Probe(answer=Probed.DONE, evidence=msg("{name} lets through.", name=fact.name))
        return Probe(
            answer=Probed.NOT_DONE,
            evidence=msg("{name} still holds ({mode}).", name=fact.name, mode=fact.mode),
        )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Let go."""
        means, prior = self._means(spec, acting), spec.params["prior"]
        assert isinstance(prior, dict)
        acting.fence.check()
        fault_point(f"release.{means.name}.before")
        means.release(prior)
        fault_point(f"release.{means.name}.after")
        still_ours(acting, msg("{name} lets through by this process.", name=means.name))
        return Receipt(what=msg("{name} lets through.", name=means.name))


def still_ours(acting: Acting, did: Message) -> None:
    """Look again after the effect: a means compares no fencing token, and this process may have slept before it.

    Raises:
        LeaseLost: Somebody took over meanwhile, and may not expect what was done.
    """
    try:
        acting.fence.check()
    except LeaseLost as lost:
        raise LeaseLost(
            lost.what,
            state=msg("{did} The other one may not expect that; backout release-hold lets go.", did=str(did)),
            next_command="backout",
        ) from lost

"""`canary.note`: notes what share a canary is about to get, right before the router is told; nothing grows past a stop or a pause.

Params: `meant` and `previous` (`backout.canary.Meant`, or null: none), `undoes` (it takes
such a step back, whatever stands). Expects `changed`: how the canary stood when the plan was made.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from backout.canary import Canary, Meant
from backout.document import Json
from backout.errors import LostRace
from backout.faults import fault_point
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec

KIND = "canary.note"


@runtime_checkable
class CanaryNotes(Protocol):
    """Keeps how the canary stands."""

    def canary(self) -> Canary:
        """Return how it stands."""
        ...

    def mean(self, meant: Meant | None, run: str, generation: int) -> None:
        """Note what is about to be done; None: what was meant is withdrawn."""
        ...


def note_spec(meant: Meant | None, previous: Meant | None, changed: str | None) -> StepSpec:
    """Return the step; `changed`: how the canary stood when this was decided."""
    params: dict[str, Json] = {"meant": _written(meant), "previous": _written(previous), "undoes": False}
    return StepSpec(kind=KIND, target="canary", params=params, expects={"changed": changed}, timeout_s=10.0)


class CanaryNote:
    """A kill -9 after it leaves a note of what was meant; what is so is told by the router."""

    kind = KIND

    def describe(self, spec: StepSpec) -> Message:
        """Say what is noted."""
        meant = _meant(spec, "meant")
        if meant is None:
            return msg("Note that no canary is meant any more.")
        return msg(
            "Note that the canary {version} on {side} is meant to get {share} % of the requests.",
            version=meant.version,
            side=meant.side,
            share=meant.share,
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would do."""
        meant = _meant(spec, "meant")
        if meant is None:
            return ("# tell the team that no canary is meant any more",)
        return (f"# tell the team: {meant.version} on {meant.side} is meant to get {meant.share} %",)

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("Somebody pauses or stops the canary at the same time."),
                then=msg("The run stops before the router is told anything."),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Nothing acts on a note."""
        return (world,)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Return the note as it stood; it is written whatever was noted meanwhile."""
        params = {
            "meant": spec.params["previous"],
            "previous": spec.params["meant"],
            "undoes": not spec.params.get("undoes", False),
        }
        return spec.model_copy(update={"params": params})

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look whether this run's note is the newest one."""
        state, meant = acting.target(spec.target, CanaryNotes).canary(), _meant(spec, "meant")
        done = state.meant == meant and (meant is None or state.run == _run(acting))
        return Probe(
            answer=Probed.DONE if done else Probed.NOT_DONE,
            evidence=msg("It is noted.") if done else msg("It is not noted yet."),
        )

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Refuse when somebody paused, stopped or moved the canary since the plan was made."""
        if spec.params.get("undoes"):
            return
        now = acting.target(spec.target, CanaryNotes).canary()
        if now.changed != spec.expects["changed"]:
            word = now.stopped or now.paused
            raise LostRace(
                msg("The canary was changed meanwhile: {what}.", what=_told(now))
                if word is None
                else msg("The canary was changed meanwhile: {what}, by {who}.", what=_told(now), who=word.by),
                state=msg("The router was told nothing."),
                next_command="backout canary status",
            )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Note it."""
        acting.fence.check()
        fault_point("canary.note.before")
        meant = _meant(spec, "meant")
        acting.target(spec.target, CanaryNotes).mean(meant, _run(acting), acting.fence.generation)
        fault_point("canary.note.after")
        return Receipt(what=self.describe(spec))


def _told(now: Canary) -> str:
    if now.stopped is not None:
        return "it is stopped"
    if now.paused is not None:
        return "it is paused"
    return "it is to go on" if now.meant is not None else "it was withdrawn"


def _run(acting: Acting) -> str:
    return acting.step_name.partition("/")[0]


def _written(meant: Meant | None) -> Json:
    return None if meant is None else meant.model_dump(mode="json")


def _meant(spec: StepSpec, name: str) -> Meant | None:
    value = spec.params[name]
    return None if value is None else Meant.model_validate(value)

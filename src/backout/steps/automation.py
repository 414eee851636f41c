"""`automation.pause` and `automation.resume`: who would undo the way back is stopped first, and let go when it is undone."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from backout.message import Message, msg
from backout.observed import Answer
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec

PAUSE, RESUME = "automation.pause", "automation.resume"
_PROBE_DEADLINE_S = 5.0


class Pausable(Protocol):
    """One automation with declared commands."""

    def paused(self, deadline_s: float) -> Answer:
        """Return whether it is paused; unknown where nothing can tell."""
        ...

    def running(self) -> bool:
        """Return whether one of its commands runs now."""
        ...

    def ended(self, step: str) -> int | None:
        """Return the exit status of the command that a step started here; None: it started none."""
        ...

    def last_lines(self) -> str:
        """Return the end of what the last command printed."""
        ...

    def start(self, step: str, *, pause: bool) -> None:
        """Start the command that pauses it, or lets it go on, unless one runs."""
        ...


@runtime_checkable
class HasAutomation(Protocol):
    """A platform of which somebody else has a part, and can be paused."""

    def automation(self, name: str) -> Pausable:
        """Return the automation of that name; raises `UsageError`."""
        ...


def pause_spec(name: str, version: str, pause: str, resume: str, timeout_s: float) -> StepSpec:
    """Return the step that pauses an automation.

    Args:
        name: As it is declared.
        version: Of the release that it would undo.
        pause: The command, for people.
        resume: The command, for people.
        timeout_s: Seconds that the command may take.
    """
    params = {"name": name, "version": version, "pause": pause, "resume": resume}
    return StepSpec.model_validate(
        {"kind": PAUSE, "target": "platform", "params": params, "timeout_s": timeout_s}
    )


class _Step:
    """What pausing and letting go on share.

    Attributes:
        pauses: Which of the two.
    """

    kind: ClassVar[str]
    pauses: ClassVar[bool]

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the declared command."""
        return (str(spec.params["pause" if self.pauses else "resume"]),)

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Nothing of the service changes."""
        return (world,)

    def inverse(self, spec: StepSpec) -> StepSpec:
        """The other one."""
        return spec.model_copy(update={"kind": RESUME if self.pauses else PAUSE})

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask the declared probe; without one, whether the command that this step started ended well."""
        it, name = _automation(spec, acting), str(spec.params["name"])
        words = {"name": name, "what": "paused" if self.pauses else "let go on"}
        if it.running():
            evidence = msg("The command of {name} runs.", name=name)
            return Probe(answer=Probed.PARTIAL, evidence=evidence, in_progress=True)
        paused, status = it.paused(_PROBE_DEADLINE_S), it.ended(acting.step_name)
        wanted = Answer.YES if self.pauses else Answer.NO
        if paused is wanted or (paused is Answer.UNKNOWN and status == 0):
            return Probe(answer=Probed.DONE, evidence=msg("{name} is {what}.", **words))
        if status is None:
            return Probe(answer=Probed.NOT_DONE, evidence=msg("{name} is not {what}.", **words))
        evidence = msg(
            "{name} is not {what}: its command ended with exit status {status}; last lines:\n{lines}",
            **words,
            status=status,
            lines=it.last_lines(),
        )
        return Probe(answer=Probed.NOT_DONE, evidence=evidence)

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Expect nothing: both directions are absolute."""

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Start the command. Idempotent: it is declared harmless when it was so already."""
        acting.fence.check()
        _automation(spec, acting).start(acting.step_name, pause=self.pauses)
        return Receipt(what=msg("The command of {name} was started.", name=str(spec.params["name"])))


class Pause(_Step):
    """`automation.pause`."""

    kind: ClassVar[str] = PAUSE
    pauses: ClassVar[bool] = True

    def describe(self, spec: StepSpec) -> Message:
        """Say what is paused."""
        return msg(
            "Pause {name}, which would undo the way back; it stays paused.", name=str(spec.params["name"])
        )

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("{name} does not let itself be paused.", name=str(spec.params["name"])),
                then=msg("The run stops before anything is changed."),
            ),
        )


class Resume(_Step):
    """`automation.resume`."""

    kind: ClassVar[str] = RESUME
    pauses: ClassVar[bool] = False

    def describe(self, spec: StepSpec) -> Message:
        """Say what goes on."""
        return msg("Let {name} go on.", name=str(spec.params["name"]))

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("{name} does not go on.", name=str(spec.params["name"])),
                then=msg("The run stops. By hand: {command}.", command=str(spec.params["resume"])),
            ),
        )


def _automation(spec: StepSpec, acting: Acting) -> Pausable:
    platform = acting.target("platform", HasAutomation)
    return platform.automation(str(spec.params["name"]))

"""`evidence.save`: what the bad release leaves behind is saved before it is gone; it never stops a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from backout.document import Json
from backout.message import Message, msg
from backout.plan.base import Acting, Receipt
from backout.plan.model import StepSpec
from backout.steps.looking import LookingStep


@runtime_checkable
class HasEvidence(Protocol):
    """A platform or database that can tell what a post-mortem will ask for."""

    def evidence(self, deadline_s: float) -> Iterator[tuple[str, str]]:
        """Yield name and text of each thing as it comes, within seconds from now; what cannot be had is left out."""
        ...


@runtime_checkable
class SavesEvidence(Protocol):
    """Saves it, redacted, beside the journal."""

    def save(self, step: str, deadline_s: float) -> dict[str, Json]:
        """Return by name where it lies and its last lines; `unsaved` says what could not be had. Never raises."""
        ...


class SaveEvidence(LookingStep):
    """Asks every source at once, and goes on with what came in time."""

    kind = "evidence.save"

    def describe(self, spec: StepSpec) -> Message:
        """Say what is saved."""
        return msg(
            "Save logs, events and sessions for the post-mortem, for {seconds} s at most.",
            seconds=_within_s(spec),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the platform's own commands."""
        commands = spec.params["by_hand"]
        assert isinstance(commands, list)
        return tuple(str(command) for command in commands)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Save what can be had. Changes nothing at the target; done again it saves anew."""
        keeper = acting.target("evidence", SavesEvidence)
        found = keeper.save(acting.step_name, _within_s(spec))
        files = found.get("files")
        count = len(files) if isinstance(files, dict) else 0
        return Receipt(what=msg("{count} pieces of evidence are saved.", count=count), data=found)


def _within_s(spec: StepSpec) -> float:
    value = spec.params["within_s"]
    assert isinstance(value, int | float)
    return float(value)

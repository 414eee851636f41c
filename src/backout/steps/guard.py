"""The first step: what the plan rests on is still so."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol, runtime_checkable

from backout.errors import LostRace
from backout.message import Message, msg
from backout.plan.base import Acting, Receipt
from backout.plan.model import StepSpec
from backout.steps.looking import LookingStep


@runtime_checkable
class World(Protocol):
    """The world, as far as the guard compares it."""

    def standing(self, names: Collection[str], ref: str) -> dict[str, str | None]:
        """Return what is asked for: `wanted` (artefact), `schema` (fingerprint), `content` (digest of `ref`).

        What is not asked for is not looked at: a plan made without the database must not wait for it.
        """
        ...


class Guard(LookingStep):
    """`guard`: compares `expects` (wanted artefact, schema fingerprint, target's content) with what stands now.

    Reading the target's whole content can take seconds, so it is done here, before anything is held.
    """

    kind = "guard"

    def describe(self, spec: StepSpec) -> Message:
        """Say what is compared."""
        return msg(
            "Check that nothing changed since the plan was made (release {ref}, schema).",
            ref=_text(spec.expects.get("wanted")),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the command that shows the same."""
        return ("backout status",)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Compare; raises `LostRace` when something else stands now."""
        now = acting.target("world", World).standing(spec.expects.keys(), str(spec.params["ref"]))
        for name, expected in spec.expects.items():
            if now.get(name) != expected:
                raise LostRace(
                    msg(
                        "{name} changed since the plan was made: {now} now, {expected} then.",
                        name=name,
                        now=_text(now.get(name)),
                        expected=_text(expected),
                    ),
                    state=msg("Nothing was changed by this step."),
                    next_command="backout plan",
                )
        return Receipt(what=msg("Everything is as the plan expects."))


def _text(value: object) -> str:
    return "nothing" if value is None else str(value)[:30]

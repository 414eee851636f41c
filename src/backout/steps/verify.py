"""The proof: every declared check, and what they add up to."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from backout.checks.base import Verification
from backout.document import Json
from backout.faults import fault_point
from backout.message import Message, msg
from backout.plan.base import Acting, Receipt
from backout.plan.model import StepSpec
from backout.steps.looking import LookingStep


@runtime_checkable
class Verifier(Protocol):
    """Runs the declared checks against a release."""

    def verify(self, version: str, ref: str, digest: str | None, deadline_s: float) -> Verification:
        """Return what the checks say of the release that should now serve."""
        ...


class Verify(LookingStep):
    """`verify`: runs the checks; the verification is the receipt, and decides how the run ends."""

    kind = "verify"

    def describe(self, spec: StepSpec) -> Message:
        """Say what is proven."""
        return msg(
            "Prove that {version} serves well: processes, health, database, smoke, error rate, response time.",
            version=str(spec.params["version"]),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the tool's own command; the runbook lists the checks."""
        return ("backout verify",)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Run the checks."""
        verifier = acting.target("checks", Verifier)
        digest = spec.params.get("digest")
        fault_point("verify.before")
        found = verifier.verify(
            str(spec.params["version"]),
            str(spec.params["ref"]),
            None if digest is None else str(digest),
            max(1.0, acting.deadline_s - acting.clock.monotonic_s()),
        )
        fault_point("verify.after")
        data: Json = found.model_dump(mode="json")
        return Receipt(
            what=msg("The checks say: {outcome}.", outcome=found.outcome.value), data={"verification": data}
        )

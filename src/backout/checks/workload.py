"""`workload`: the platform runs the right artefact, and all of its units are up. Always asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from backout.checks.base import CheckResult, Outcome, Subject, note
from backout.errors import BackoutError
from backout.message import Message, msg
from backout.observed import Workload
from backout.release import Artefact

if TYPE_CHECKING:
    from backout.redact import Redactor

_Same = Literal["same", "other", "unknown"]


@dataclass(frozen=True, slots=True)
class WorkloadCheck:
    """Asks the platform what it is told to run, what runs, and how much of it is up."""

    name: str = "workload"

    def run(self, subject: Subject, deadline_s: float) -> tuple[CheckResult, ...]:
        """Ask the platform, and compare with the artefact that must be running.

        Args:
            subject: What is looked at.
            deadline_s: Seconds from now.
        """
        try:
            seen = subject.platform.observe(deadline_s)
            outcome, evidence = self._judge(seen, subject)
        except BackoutError as error:
            outcome, evidence = Outcome.INCONCLUSIVE, error.what
        return (CheckResult(name=self.name, proves="workload", outcome=outcome, evidence=evidence),)

    def by_hand(self, redactor: Redactor) -> tuple[str, ...]:
        """Return what to look at; the platform's own means show it."""
        return (note(msg("Expected: all units are up, and all of them are of the release that is back.")),)

    def _judge(self, seen: Workload, subject: Subject) -> tuple[Outcome, Message]:
        counts = {"up": seen.up, "expected": seen.expected}
        if seen.expected <= 0 or seen.up < seen.expected:
            return Outcome.FAIL, msg("{up} of {expected} units are up", **counts)
        if not seen.running:
            return Outcome.FAIL, msg("{up} of {expected} units are up, but nothing is seen to run", **counts)
        wanted = subject.artefact
        if wanted is None:
            return Outcome.PASS, msg("{up} of {expected} units are up", **counts)
        if seen.wanted is None:
            return Outcome.FAIL, msg(
                "The platform is not told to run anything, expected {ref}", ref=wanted.ref
            )
        answers = [(a.ref, _compare(a, wanted, subject)) for a in (*seen.running, seen.wanted)]
        for ref, answer in answers:
            if answer == "other":
                return Outcome.FAIL, msg(
                    "{ref} runs or is to run, and is not {wanted}", ref=ref, wanted=wanted.ref
                )
        for ref, answer in answers:
            if answer == "unknown":
                return Outcome.INCONCLUSIVE, msg("The content of {ref} cannot be told", ref=ref)
        return Outcome.PASS, msg("{up} of {expected} units are up, all of {ref}", **counts, ref=wanted.ref)


def _compare(seen: Artefact, wanted: Artefact, subject: Subject) -> _Same:
    """Compare by the platform's name, and by content where the wanted content is known."""
    if seen.ref != wanted.ref:
        return "other"
    if wanted.digest is None:
        return "same"
    digest = seen.digest
    if digest is None:
        try:
            digest = subject.platform.identify(seen.ref).digest
        except BackoutError:
            return "unknown"
    if digest is None:
        return "unknown"
    return "same" if digest == wanted.digest else "other"

"""What is asked, what is allowed, and what an assessment says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from backout.assess.allowed import Allowed
from backout.document import Document
from backout.facts import Answer, Facts
from backout.message import Message
from backout.plan.model import Finding, Scenario, Verdict
from backout.release import Artefact, Release

ACCEPTABLE = (
    "schema-unknown",
    "quarantined",
    "below-min-version",
    "known-bad",
    "artefact-changed",
    "data-stays-damaged",
    "outcome-unknown",
    "hold-unknown",
)
"""Names of risks that `--accept` takes; each is a finding's `accept`, and a test says that these are all."""

Cause = Literal["code", "data", "both"]


class Request(Document):
    """What a person asked for.

    Attributes:
        to: The version to go back to; None: the last good one before the current.
        scenario: How far back; None lets the decision table choose.
        cause: What the person believes is damaged; None: nothing says that data is.
        hold_first: Whether to stop the harm before anything else.
        accept: Names of risks that are accepted (`schema-unknown`, …).
    """

    to: str | None = None
    scenario: Scenario | None = None
    cause: Cause | None = None
    hold_first: bool = False
    accept: tuple[str, ...] = ()


class Compatibility(Document):
    """Whether a version can read and write a schema, and how that is known."""

    answer: Answer
    evidence: Message
    remedy: Message | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that rules look at.

    Attributes:
        current_version: What the platform is told to run; None if unknown or nothing.
        current: The record of it, if there is one.
        target: The record (or found release) to go back to.
        target_artefact: What the platform would run; with its digest as it is now.
        compatibility: Of the target with the schema as it stands.
    """

    facts: Facts
    request: Request
    allowed: Allowed
    current_version: str | None
    current: Release | None
    target: Release
    target_artefact: Artefact
    compatibility: Compatibility
    now: datetime

    @property
    def runs_already(self) -> bool:
        """Whether the target is what is wanted and all that runs, and the code alone is asked for: nothing changes."""
        workload = self.facts.workload.value
        return (
            self.target.version == self.current_version
            and self.request.scenario in (None, Scenario.CODE)
            and workload is not None
            and workload.wanted is not None
            and {a.ref for a in workload.running} == {workload.wanted.ref}
        )


class Assessment(Document):
    """What the facts mean.

    Attributes:
        scenario: What the decision table chose, or the person named.
        why: Why that scenario.
        named: A scenario that would be right but is not chosen by itself (it restores, or loses rows).
    """

    verdict: Verdict
    scenario: Scenario
    why: Message
    named: Scenario | None = None
    findings: tuple[Finding, ...]
    current_version: str | None
    target: Release
    target_artefact: Artefact
    compatibility: Compatibility

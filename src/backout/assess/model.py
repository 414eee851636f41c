"""What is asked, what is allowed, and what an assessment says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from backout.assess.allowed import Allowed
from backout.backup import Backup
from backout.document import Document
from backout.facts import Facts
from backout.message import Message
from backout.observed import Answer
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
    "space-unknown",
    "logical-slots",
    "loss-unknown",
    "hold-unknown",
    "no-safety-backup",
    "image-by-tag",
)
"""Names of risks that `--accept` takes; each is a finding's `accept`, and a test says that these are all, but for
`AUTOMATION`, which has a name of its own in it."""

AUTOMATION = "automation:"
"""What the name of a risk begins with that somebody else undoes the way back; the owner's name follows."""


def is_acceptable(name: str) -> bool:
    """Return whether `--accept` takes the name."""
    return name in ACCEPTABLE or (name.startswith(AUTOMATION) and name != AUTOMATION)


Cause = Literal["code", "data", "both"]


class Request(Document):
    """What a person asked for.

    Attributes:
        to: The version to go back to; None: the last good one before the current.
        scenario: How far back; None lets the decision table choose.
        cause: What the person believes is damaged; None: nothing says that data is.
        hold_first: Whether to stop the harm before anything else.
        accept: Names of risks that are accepted (`schema-unknown`, …).
        backup: The backup to restore, by name; None: the newest that fits.
        at: Restore the newest backup taken at or before this time.
        tables: The only tables (``schema.table``) that go back; empty: all.
        max_loss_rows: The most rows that may be left behind; None: what the plan shows, and a tenth more.
        keep_one: Whether one unit of the bad release is taken aside before it is replaced.
    """

    to: str | None = None
    scenario: Scenario | None = None
    cause: Cause | None = None
    hold_first: bool = False
    accept: tuple[str, ...] = ()
    backup: str | None = None
    at: datetime | None = None
    tables: tuple[str, ...] = ()
    max_loss_rows: int | None = None
    keep_one: bool = False


class Compatibility(Document):
    """Whether a version can read and write a schema, and how that is known."""

    answer: Answer
    evidence: Message
    remedy: Message | None = None


class Choice(Document):
    """Which backup, and why not another one.

    Attributes:
        before: It has to be from before this moment: the bad release was deployed then; null: not known.
        named: Whether the person named it, or a time.
        late: Whether it was taken after `before`: it may already hold the damage.
        usable: Fingerprints of schemas that the target is known to be able to use; what is restored is held to them.
        passed_over: Newer ones that were not taken, each with its reason.
    """

    backup: Backup
    why: Message
    before: datetime | None
    named: bool
    late: bool
    usable: tuple[str, ...] = ()
    passed_over: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that rules look at.

    Attributes:
        current_version: What the platform is told to run; None if unknown or nothing.
        current: The record of it, if there is one.
        target: The record (or found release) to go back to.
        target_artefact: What the platform would run; with its digest as it is now.
        compatibility: Of the target with the schema that it will run on.
        choice: The backup that is restored; None where only the code goes back.
        scenario: What the decision table chose or named, or the person asked for.
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
    choice: Choice | None = None
    scenario: Scenario = Scenario.CODE

    @property
    def runs_already(self) -> bool:
        """Whether the target is what is wanted and all that runs, and the code alone is asked for: nothing changes."""
        workload = self.facts.workload.value
        return (
            self.target.version == self.current_version
            and self.request.scenario in (None, Scenario.CODE)
            and self.scenario is not Scenario.SCHEMA
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
    choice: Choice | None = None

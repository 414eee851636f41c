"""What a check is, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol

from backout.document import Document
from backout.message import Message
from backout.release import Baseline

if TYPE_CHECKING:
    from backout.clock import Clock
    from backout.databases.base import Database
    from backout.platforms.base import Platform
    from backout.redact import Redactor
    from backout.release import Artefact


class Outcome(StrEnum):
    """What a check says."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class CheckResult(Document):
    """One check's answer with its evidence.

    Attributes:
        proves: Which sentence of success it speaks to.
        measured: The figure; null where there is none.
        threshold: What it was held against, and in which unit.
        window: What was looked at ("300 requests in 3.1 s").
        more: How much more evidence is needed, when inconclusive.
    """

    name: str
    proves: Literal[
        "workload", "health", "database", "smoke", "error_rate", "response_time", "version", "other"
    ]
    outcome: Outcome
    measured: float | None = None
    threshold: float | None = None
    unit: str | None = None
    window: str | None = None
    evidence: Message
    more: Message | None = None


class Verification(Document):
    """All results of one verification, and what they add up to.

    Attributes:
        baseline: What backout's own probes measured, with the requests asked earlier; kept on the release
            record when all is well.
    """

    outcome: Outcome
    results: tuple[CheckResult, ...]
    started_at: datetime
    finished_at: datetime
    baseline: Baseline | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a check looks at: never looked up, always an argument.

    Attributes:
        artefact: The artefact that must be running; None: any.
        version: The version that must be served where an answer carries one.
        normal: The pre-release window, for what has no declared limit.
        earlier: What the first check of kind `probes` already saw of this release, while that proved too
            little: its requests and errors are added to the new ones.
        changed_at: When the release under test began to serve (queries over time start after it).
        release_deployed_at: When the bad release was deployed (the pre-release window ends there).
    """

    platform: Platform
    database: Database | None
    clock: Clock
    redactor: Redactor
    artefact: Artefact | None
    version: str | None
    normal: Baseline | None
    changed_at: datetime
    release_deployed_at: datetime | None = None
    earlier: Baseline | None = None


def note(message: Message) -> str:
    """Return a sentence as a comment of the shell: one line, whatever its fields hold."""
    return f"# {' '.join(str(message).split())}"


class Check(Protocol):
    """One declared check; read-only, ends by its deadline, never raises for what it checks."""

    @property
    def name(self) -> str:
        """The declared name."""
        ...

    def run(self, subject: Subject, deadline_s: float) -> tuple[CheckResult, ...]:
        """Look, and answer; what cannot be told is inconclusive."""
        ...

    def by_hand(self, redactor: Redactor) -> tuple[str, ...]:
        """Return what a person would type instead, with what to expect as comments.

        Secrets are cut out before anything is quoted: a quoted secret would not be recognised.
        """
        ...

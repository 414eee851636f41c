"""What a platform is: something that runs releases of a service and can be told to run another one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from pydantic import model_validator

from backout.document import Document
from backout.message import Message
from backout.migration import LOCK_BUDGET_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pydantic import BaseModel

    from backout.clock import Clock
    from backout.observed import Workload
    from backout.plan.base import StepKind
    from backout.plan.model import StepSpec
    from backout.redact import Redactor
    from backout.release import Artefact, Release


@dataclass(frozen=True, slots=True)
class Site:
    """What every adapter is told when it is made.

    Attributes:
        directory: Relative paths of the configuration start here.
        environ: The environment that `${NAME}` references were taken from.
        lock_budget_ms: For how long the locks of a way back of migrations may be held, as far as that can be.
    """

    service: str
    environment: str
    directory: Path
    environ: Mapping[str, str]
    clock: Clock
    redactor: Redactor
    lock_budget_ms: float = LOCK_BUDGET_MS


class Diagnosis(Document):
    """One line of `doctor`: what was tried, whether it works now, and the remedy if not.

    Attributes:
        ok: True works, False does not, None could not be told.
        remedy: What to type or do; a line that is not ok always has one.
    """

    subject: str
    ok: bool | None
    evidence: Message
    remedy: str | None = None

    @model_validator(mode="after")
    def _a_line_that_is_not_ok_has_its_remedy(self) -> Diagnosis:
        if not self.ok and not self.remedy:
            raise ValueError(f"{self.subject}: a line that is not ok needs a remedy")
        return self


class Detection(Document):
    """What `init` found: the options that would go into `backout.yaml`, and the evidence.

    Attributes:
        options: Configuration keys; secrets only as ``${NAME}``.
        confidence: 0 to 1; `init` takes the surest.
    """

    kind: str
    options: dict[str, object]
    evidence: Message
    confidence: float


class Capabilities(Document):
    """What a platform can do; what is not declared is never pretended.

    Attributes:
        immutable_identity: Artefacts carry a digest: what runs can be proven.
        history: It can list artefacts that it could still run.
        fenced: It compares the lease's generation itself, so a zombie's write is refused.
    """

    immutable_identity: bool
    history: bool
    fenced: bool


class Lease(Document):
    """Who acts on the environment now. Lives at the target.

    Attributes:
        generation: Fencing token: one more with each owner, never reused.
        holder: Operating-system user and host (unverified).
        process: ``host:boot:spaces:pid:start`` of the owner, so that whoever sees the same processes can tell
            that it died.
        journal_head: ``seq:digest`` of the owner's journal, so that a journal cut short is noticed.
        run: Name of the run; null when nobody holds it.
    """

    generation: int
    run: str | None
    holder: str
    process: str
    acquired_at: datetime
    expires_at: datetime
    reason: str | None = None
    journal_head: str | None = None


@runtime_checkable
class LeaseStore(Protocol):
    """Keeps one lease at the target, by compare-and-set."""

    def read(self) -> Lease | None:
        """Return the lease as it stands, or None when there never was one."""
        ...

    def swap(self, expected_generation: int | None, lease: Lease) -> bool:
        """Write the lease if the stored generation is the expected one (None: there is none).

        Renewing keeps the generation: `expected_generation == lease.generation`. Returns False when
        the comparison fails. Atomic and durable.
        """
        ...


@runtime_checkable
class RecordStore(Protocol):
    """Keeps release records at the target too, so that another machine can rebuild its state."""

    def read_records(self) -> tuple[Release, ...]:
        """Return the records, oldest first; unreadable ones are left out, never raised."""
        ...

    def write_record(self, release: Release) -> None:
        """Add or replace (by id) one record. Atomic."""
        ...


class Platform(Protocol):
    """One platform, bound to one service in one environment.

    Contract, checked by `backout.testing.platforms`: `observe` and `artefacts` change nothing and raise
    `TargetUnreachable` rather than guess; `switch` is pure; its steps, applied in order, make `observe`
    report the target as wanted and running, from any state that a cut-short run leaves behind.
    """

    kind: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    Options: ClassVar[type[BaseModel]]

    @classmethod
    def create(cls, options: BaseModel, site: Site) -> Platform:
        """Bind the platform to a service; touches nothing."""
        ...

    @classmethod
    def detect(cls, directory: Path) -> Detection | None:
        """Look for this platform below a directory; changes nothing."""
        ...

    @classmethod
    def step_kinds(cls) -> Mapping[str, StepKind]:
        """Return the kinds of step that this platform adds, by name."""
        ...

    def observable(self) -> bool:
        """Return whether it can tell at all what runs; if not, the records are believed and the outcome is unknown."""
        ...

    def observe(self, deadline_s: float) -> Workload:
        """Return what runs now; raises `TargetUnreachable` past the deadline (seconds from now)."""
        ...

    def artefacts(self, deadline_s: float) -> tuple[Artefact, ...]:
        """Return what could still be run, newest first, without content digests where they are costly."""
        ...

    def identify(self, ref: str) -> Artefact:
        """Return the artefact with its digest; raises `UnknownVersion`."""
        ...

    def switch(
        self, workload: Workload, to: Artefact, *, from_version: str | None, to_version: str
    ) -> tuple[StepSpec, ...]:
        """Propose the steps that make `to` the running release. Pure.

        Every spec's params carry `version` (the version that the step is about).
        """
        ...

    def lease_store(self) -> LeaseStore | None:
        """Return where the lease lives at the target; None: only the local store keeps it (documented)."""
        ...

    def record_store(self) -> RecordStore | None:
        """Return where release records live at the target, or None."""
        ...

    def doctor(self) -> Iterable[Diagnosis]:
        """Try what a rollback would need, touching nothing."""
        ...

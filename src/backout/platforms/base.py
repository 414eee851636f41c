"""What a platform is: something that runs releases of a service and can be told to run another one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from backout.document import Document, Json, digest_of
from backout.message import Message

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pydantic import BaseModel

    from backout.clock import Clock
    from backout.holds.base import HoldMeans
    from backout.observed import OfferedImage, SecretChange, Workload
    from backout.plan.base import StepKind
    from backout.plan.model import StepSpec
    from backout.redact import Redactor
    from backout.release import Artefact, Quarantine, Release
    from backout.schema import Schema


@dataclass(frozen=True, slots=True)
class Site:
    """What every adapter is told when it is made.

    Attributes:
        directory: Relative paths of the configuration start here.
        environ: The environment that `${NAME}` references were taken from.
    """

    service: str
    environment: str
    directory: Path
    environ: Mapping[str, str]
    clock: Clock
    redactor: Redactor


class Diagnosis(Document):
    """One line of `doctor`: what was tried, whether it works now, and the remedy if not.

    Attributes:
        ok: True works, False does not, None could not be told.
    """

    subject: str
    ok: bool | None
    evidence: Message
    remedy: str | None = None


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


class RunEvent(Document):
    """One event of a run, as any machine has it: without its place in one machine's journal.

    Attributes:
        generation: The lease's fencing token of whoever wrote it; 0 outside a run.
    """

    at: datetime
    run: str
    actor: str
    generation: int
    kind: str
    body: dict[str, Json]

    @property
    def identity(self) -> str:
        """What tells it from every other event, on every machine."""
        return digest_of({**dict(self), "at": self.at.isoformat()})


class RunStore(Protocol):
    """Keeps the events of runs at the target, so that another machine can go on with a run."""

    def heads(self, patience_s: float) -> Mapping[str, str]:
        """Return for each run the identity of its newest event; raises `TargetUnreachable` past the patience."""
        ...

    def read(self, run: str, patience_s: float) -> tuple[RunEvent, ...]:
        """Return a run's events in the order in which they were appended; none if there is no such run.

        Raises:
            JournalTampered: They are not as they were written.
        """
        ...

    def append(self, run: str, events: Sequence[RunEvent], *, after: str | None, patience_s: float) -> bool:
        """Append events if the newest one there is `after` (its identity; None: there is none).

        Returns False when the comparison fails. Durable; a batch may be cut, an event never.
        """
        ...


@runtime_checkable
class KeepsRuns(Protocol):
    """What a platform adds that keeps runs at the target too."""

    def run_store(self) -> RunStore:
        """Return where they are kept."""
        ...


class GroundsStore(Protocol):
    """Keeps at the target what a judgement rests on besides the records, so that another machine judges the same."""

    def read_schemas(self, fingerprints: Collection[str]) -> tuple[Schema, ...]:
        """Return those of these schemas that are kept."""
        ...

    def write_schema(self, schema: Schema) -> None:
        """Keep a schema under its fingerprint. Idempotent."""
        ...

    def read_quarantines(self) -> tuple[Quarantine, ...]:
        """Return what is quarantined."""
        ...

    def write_quarantine(self, entry: Quarantine) -> None:
        """Quarantine a version, or replace its entry. Idempotent, atomic."""
        ...

    def lift_quarantine(self, version: str) -> None:
        """End a quarantine. Idempotent, atomic."""
        ...


@runtime_checkable
class KeepsGrounds(Protocol):
    """What a platform adds that keeps schemas and quarantines at the target too."""

    def grounds_store(self) -> GroundsStore:
        """Return where they are kept."""
        ...


@runtime_checkable
class TellsReadiness(Protocol):
    """What a platform adds that can tell whether a release that was just started answers yet."""

    @property
    def ready_within_s(self) -> float:
        """Seconds that a release may take until it is ready."""
        ...

    def not_ready(self) -> Message | None:
        """Return why the release that the platform is told to run is not ready; None if it is, or nobody can tell.

        Changes nothing, and takes a few seconds at most.
        """
        ...


@runtime_checkable
class BringsHolds(Protocol):
    """What a platform adds that can itself keep requests away, or suspend workers and crons."""

    def hold_means(self) -> tuple[HoldMeans, ...]:
        """Return the means that its options name, the strongest against requests first; touches nothing."""
        ...


@runtime_checkable
class HasPlace(Protocol):
    """What a platform adds whose releases lie in one place of this machine."""

    @property
    def place(self) -> str:
        """What tells this place from any other on this machine, whichever configuration names it."""
        ...


@runtime_checkable
class KeepsOne(Protocol):
    """A platform that can take one unit of the bad release aside, for the post-mortem."""

    def keep_one(self, workload: Workload, version: str) -> tuple[StepSpec, ...]:
        """Propose the steps; empty: this workload has no unit that could be spared. Pure."""
        ...


@runtime_checkable
class ActsElsewhere(Protocol):
    """A platform that acts on one of several clusters: a person has to see on which, before anything is done."""

    @property
    def where(self) -> Message:
        """Which one, in a few words."""
        ...


@runtime_checkable
class LosesEvidence(Protocol):
    """A platform on which the way back deletes what a post-mortem asks for, and that can tell it before."""

    def evidence(self, deadline_s: float) -> Iterator[tuple[str, str]]:
        """Yield name and text of each thing as it comes, within seconds from now; what cannot be had is left out."""
        ...

    def evidence_by_hand(self) -> tuple[str, ...]:
        """Return the commands that a person would type for it."""
        ...


@dataclass(frozen=True, slots=True)
class Offer:
    """What a platform would run for an image that was named instead of a release.

    Attributes:
        artefact: The release that the image is of, or a new one.
        workload: What runs, with what `switch` has to know of a new one.
        image: What is known of an image that no release is made of; None: `artefact` is one that could be run.
    """

    artefact: Artefact
    workload: Workload
    image: OfferedImage | None


@runtime_checkable
class RunsImages(Protocol):
    """What a platform adds that can run an image which no release is made of yet."""

    def offer(self, workload: Workload, name: str) -> Offer | None:
        """Return what would run for an image of that name; None: it names no image. Changes nothing."""
        ...


@runtime_checkable
class KnowsSecrets(Protocol):
    """What a platform adds that can tell whether a secret is another one now than a release had."""

    def secret_changes(self, workload: Workload, to: Artefact) -> tuple[SecretChange, ...]:
        """Return the secrets that are others now, or of which it cannot be told. Pure."""
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


@runtime_checkable
class Restarts(Protocol):
    """A platform that can restart a release as it is, and ask it whether it is ready."""

    def ready(self, deadline_s: float) -> bool | None:
        """Return whether the running release says that it is ready, asked past any router; None: it was not declared how."""
        ...

    def restart(self, to: Artefact, version: str) -> tuple[StepSpec, ...]:
        """Propose the steps that stop the running release and start it again. Pure."""
        ...

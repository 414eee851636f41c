"""What a platform may keep at the target besides lease and records, so that another machine goes on from there."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from backout.document import Document, Json, digest_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from backout.release import Quarantine
    from backout.schema import Schema


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

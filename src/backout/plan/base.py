"""What a kind of step is: a pure half that is planned and simulated, and an acting half that probes and applies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar, runtime_checkable

from backout.clock import Clock
from backout.document import Document, Json
from backout.message import Message
from backout.plan.model import Hazard, StepSpec

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class World:
    """The world as far as the invariant needs it; the simulation's state.

    Attributes:
        serving: Versions whose processes would answer a request now.
        workers: Versions that act without requests: queue consumers, jobs, pinned clients.
        holds: Names of the means that keep requests away from every version now.
        fingerprint: The schema as it stands; null where there is no database.
        code: The version that the platform is told to run.
    """

    serving: frozenset[str]
    workers: frozenset[str] = frozenset()
    holds: frozenset[str] = frozenset()
    fingerprint: str | None = None
    code: str | None = None

    @property
    def acting(self) -> frozenset[str]:
        """Versions that can read or write the database in this moment."""
        return self.workers if self.holds else self.workers | self.serving


class Probed(StrEnum):
    """What a probe says about a step's goal."""

    DONE = "done"
    NOT_DONE = "not_done"
    PARTIAL = "partial"
    UNKNOWN = "unknown"


class Probe(Document):
    """The answer of a probe.

    Attributes:
        in_progress: The effect is under way by itself (a process is starting, a script runs): wait, do
            not apply again.
        worthwhile_s: In how long another look tells something new, at the earliest: looking takes from the machine what is waited for.
    """

    answer: Probed
    evidence: Message
    in_progress: bool = False
    worthwhile_s: float = 0


class Receipt(Document):
    """What `apply` did, for the journal."""

    what: Message
    data: dict[str, Json] = {}


PASSING = "passing"
"""What `hold.proof` keeps in its receipt where CONNECT was taken away: who connects all the same."""


class Fence(Protocol):
    """Proof that this process still owns the environment.

    `generation` goes to targets that compare it themselves; `check` raises `LeaseLost` elsewhere.
    """

    @property
    def generation(self) -> int:
        """The lease's fencing token: grows with every owner."""
        ...

    def check(self) -> None:
        """Raise `LeaseLost` unless the lease is still ours with time left."""
        ...


@dataclass(frozen=True, slots=True)
class Acting:
    """What the acting half is given: never looked up, always an argument.

    Attributes:
        targets: Live adapters by target name.
        step_name: ``run/key``, to be written on the target where it can be.
        deadline_s: `clock.monotonic_s()` at which the step counts as failed.
        note: Tells the person who is watching.
        confirmed: Receipts of the run's confirmed steps, by key.
    """

    targets: Mapping[str, object]
    clock: Clock
    fence: Fence
    step_name: str
    deadline_s: float
    note: Callable[[Message], None] = lambda _message: None
    confirmed: Mapping[str, Receipt] = field(default_factory=dict)

    def target(self, name: str, kind: type[T]) -> T:
        """Return the live adapter of that name, or raise TypeError: a bug in the wiring."""
        found = self.targets.get(name)
        if not isinstance(found, kind):
            raise TypeError(f"target {name!r} is {type(found).__name__}, expected {kind.__name__}")
        return found


class StepKind(Protocol):
    """One kind of step. Stateless: one instance serves every plan.

    Contract, checked by `backout.testing.steps`:
      - `effect` yields every world the step may leave behind when cut short, the finished one last;
      - `apply` is idempotent: it makes the absolute params true, from `NOT_DONE` and from `PARTIAL`;
      - `probe` changes nothing and never guesses: what cannot be told is `UNKNOWN`;
      - `apply` returns quickly; slow work is polled by the runner through `probe` (`in_progress`).
    """

    @property
    def kind(self) -> str:
        """The registered name, e.g. ``process.start``."""
        ...

    def describe(self, spec: StepSpec) -> Message:
        """Say what the step does, in one sentence."""
        ...

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the shell commands that a person would type instead."""
        ...

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong, and what then."""
        ...

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Return the half-done worlds and, last, the finished one."""
        ...

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Return the step that undoes this one, or None."""
        ...

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look whether the goal is reached; changes nothing."""
        ...

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Compare `spec.expects` with the target; raises `LostRace`."""
        ...

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Make the params true; raises a `BackoutError` that says the state."""
        ...


@runtime_checkable
class OneWay(Protocol):
    """A kind of step that has no inverse although it changes something, and says why."""

    def no_inverse_because(self, spec: StepSpec) -> Message:
        """Say why nothing undoes it, and what brings back what it took away."""
        ...


@runtime_checkable
class Vouched(Protocol):
    """A kind of step with a part of backout's own, besides what a person can look at and vouch for."""

    def vouched(self, spec: StepSpec, acting: Acting) -> None:
        """Do that part, now that a person says that the rest is done. Idempotent."""
        ...

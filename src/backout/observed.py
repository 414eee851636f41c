"""What was seen at one source: a value or the reason why it is not known, what runs, what is held."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Generic, Literal, TypeVar

from backout.document import Document, Json
from backout.message import Message
from backout.release import Artefact

T = TypeVar("T")


class Answer(StrEnum):
    """Three answers everywhere; unknown never counts as yes."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Observed(Document, Generic[T]):
    """A value, or the reason why it is not known.

    Attributes:
        value: What was seen; null if (and only if) `unknown` is set, or nothing is there.
        unknown: Why the value is not known.
        source: Who was asked (`platform process`, `database`, `store`, …).
        observed_at: When, in UTC.
    """

    value: T | None = None
    unknown: Message | None = None
    source: str
    observed_at: datetime

    @property
    def known(self) -> bool:
        """Whether the source answered (the answer may be "nothing there")."""
        return self.unknown is None


class Owner(Document):
    """Somebody else who may change what the platform is told to run.

    Attributes:
        kind: `argocd`, `flux`, `helm`, `fleet`, `operator` (an object of its own), or `manager` (a program that
            writes the fields).
        name: What it calls itself; a risk is accepted as ``automation:NAME``.
        owns: The platform's names of what it owns.
        reverts: Whether it takes a change back that was not made through it.
        evidence: What says so.
        stop: What a person types to stop it; null: not known.
        branch, commit, before: Where in git it takes its state from, what it last took, and what before that.
        pausable: Whether the configuration declares commands that stop it and let it go on.
        paused: Whether it is stopped now.
    """

    kind: str
    name: str
    owns: tuple[str, ...] = ()
    reverts: Answer
    evidence: Message
    stop: str | None = None
    branch: str | None = None
    commit: str | None = None
    before: str | None = None
    pausable: bool = False
    paused: Answer = Answer.UNKNOWN


class Workload(Document):
    """What the platform runs now.

    Attributes:
        wanted: The artefact that the platform is told to run (the `current` link, the template); its `since`
            is when it was told so, where the platform knows.
        running: Artefacts that processes or pods really run, each once.
        up: Units (processes, pods) that are up.
        expected: Units that should be up; 0 where nobody can tell what runs at all.
        owners: Who else may change what is wanted.
        detail: Adapter's own absolute facts (pid, link text): they become guards of steps.
    """

    wanted: Artefact | None
    running: tuple[Artefact, ...] = ()
    up: int = 0
    expected: int = 1
    owners: tuple[Owner, ...] = ()
    detail: dict[str, Json] = {}


STOP, DIVERT, SUSPEND = "stop", "divert", "suspend"
"""Modes of a hold: nothing is left that could answer; requests go elsewhere; what acts without requests stands still."""

KEEPS_REQUESTS_AWAY = ("queue", "maintenance", STOP)
"""Modes in which no request reaches any version. `divert` is none: connections that are open already stay."""

REFUSE_WRITES, REFUSE_CONNECTIONS = "refuse_writes", "refuse_connections"
"""Modes of a database: new transactions are read-only; and, where writes arrive all the same, nobody can connect."""

KEEPS_WRITES_AWAY = (REFUSE_WRITES, REFUSE_CONNECTIONS)

CLOSED = "closed"
"""Mode of a hold that nobody asked for: a swap of databases was cut short, and nobody can connect; or a switch was, and
nobody can write."""


class HoldFact(Document):
    """Whether one means of holding is in force now.

    Attributes:
        name: `router`, `database`, or the name of a declared hold command.
        modes: What it can do: `queue` (requests wait), `maintenance` (requests are answered 503), `stop`,
            `divert`, `refuse_writes`, `refuse_connections`, `suspend`.
        held: Whether it holds now; unknown also while requests that came before it are still inside.
        mode: The mode in force for new requests, if that is known.
        prior: The absolute state to put back when it is released.
        within_s: Seconds that holding or letting go may take.
        ends_after_s: Seconds after which holding ends what is still inside; null: it waits, and fails.
        left_holding: Whether the journal says that it held when backout last used it; looked up only where
            it does not answer.
    """

    name: str
    modes: tuple[str, ...]
    held: Answer
    mode: str | None = None
    prior: dict[str, Json] = {}
    within_s: float = 30.0
    ends_after_s: float | None = None
    left_holding: bool = False


class OfferedImage(Document):
    """An image that was named instead of a release, and that no release is made of yet.

    Attributes:
        image: In full, by its digest where that is known.
        instead_of: The image that runs now.
        by_tag: Why nobody told which content its tag means; null: it is named by its content.
    """

    image: str
    instead_of: str
    by_tag: Message | None = None


class SecretChange(Document):
    """A secret that is another one now than the target had, or of which that cannot be told.

    Attributes:
        how: `changed`: it stays as it is now; `restored`: a kept copy takes its place for the target;
            `owned`: it changed, was to be restored, and is not, because something else writes it; `unknown`: nobody
            can tell.
        owner: What else writes it, for `owned`.
    """

    name: str
    how: Literal["changed", "restored", "owned", "unknown"]
    owner: str | None = None


class SideTraffic(Document):
    """One side of a service, as a router treats it now.

    Attributes:
        name: `blue`, `green`, `canary`, …
        share: Of the requests that the router is free to place, so many per cent; the sides' shares add up to 100, or
            all are 0.
        admits: Whether any request reaches it, also of clients that stick to it.
        healthy: Whether the router's own checks say so; unknown where it does not check it now.
        inside: Requests, and connections that were handed through, that are with it now; None: the router cannot tell, and
            there may be some.
    """

    name: str
    share: int
    admits: bool
    healthy: Answer
    inside: int | None

    @property
    def serves(self) -> bool:
        """Whether requests reach it, or may be with it still: its version acts."""
        return self.is_known_to_serve or self.inside is None

    @property
    def is_known_to_serve(self) -> bool:
        """Whether requests reach it, or are seen to be with it."""
        return bool(self.share or self.admits or self.inside)


_Side = TypeVar("_Side", bound=SideTraffic)


def _called(name: str, sides: Sequence[_Side]) -> _Side:
    for one in sides:
        if one.name == name:
            return one
    raise KeyError(name)


class Traffic(Document):
    """Where a router sends requests now.

    Attributes:
        sides: Each side once.
        kept: Whether it still does so when it is reloaded or started again.
    """

    sides: tuple[SideTraffic, ...]
    kept: Answer

    def of(self, name: str) -> SideTraffic:
        """Return a side; raises KeyError."""
        return _called(name, self.sides)

    @property
    def shares(self) -> dict[str, int]:
        """The shares by name."""
        return {one.name: one.share for one in self.sides}


class SideNow(SideTraffic):
    """One side of a service, as router and side tell it.

    Attributes:
        version: What it says it runs, asked past the router; null: it does not say.
        installed: What would run there if it were started; null: it runs, or that is not known.
        not_ready: Why it cannot take requests; null: it says that it can, and the router's checks do not deny it.
    """

    version: str | None
    installed: str | None = None
    not_ready: Message | None


class SidesNow(Traffic):
    """All sides of a service, as the router and they themselves tell it."""

    sides: tuple[SideNow, ...]

    def of(self, name: str) -> SideNow:
        """Return a side; raises KeyError."""
        return _called(name, self.sides)

    @property
    def versions(self) -> dict[str, str | None]:
        """The versions by name."""
        return {one.name: one.version for one in self.sides}

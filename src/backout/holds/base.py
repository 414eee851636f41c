"""What a means of holding is. Routers and databases are some; declared commands are others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from backout.document import Json
    from backout.message import Message
    from backout.observed import HoldFact


@runtime_checkable
class HoldMeans(Protocol):
    """Keeps something away from the service, and lets it through again exactly as before.

    Contract, checked by `backout.testing.holds`: `hold` and `release` are idempotent; after
    `release(prior)` the target is as it was; `observe` never guesses.
    """

    @property
    def name(self) -> str:
        """`router`, `database`, or the declared name."""
        ...

    def observe(self, deadline_s: float) -> HoldFact:
        """Return whether it holds now, and the absolute state that `release` would have to put back."""
        ...

    def hold(self, mode: str) -> None:
        """Make the mode true; raises `BackoutError`."""
        ...

    def release(self, prior: dict[str, Json]) -> None:
        """Put the prior state back (empty: it is not known; let through); raises `BackoutError`."""
        ...

    def by_hand(self, mode: str | None, prior: dict[str, Json]) -> tuple[str, ...]:
        """Return what a person would type: to hold by `mode`, or (mode None) to put `prior` back."""
        ...


@dataclass(frozen=True, slots=True)
class Passing:
    """Who passes a hold all the same.

    Attributes:
        who: The beginning of a sentence without its full stop.
        next_command: What to type where one of them is the application, as far as that can be told.
    """

    who: Message
    next_command: str | None


@runtime_checkable
class ShutsOut(Protocol):
    """A means that can do more where writes arrive although it refuses them: the mode `refuse_connections`."""

    def observe(self, deadline_s: float) -> HoldFact:
        """As any means of holding."""
        ...

    def hold(self, mode: str) -> None:
        """As any means of holding."""
        ...

    def who_passes(self, deadline_s: float) -> Passing:
        """Return who passes its strongest mode."""
        ...

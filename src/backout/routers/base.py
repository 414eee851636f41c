"""What a router is: it can let requests wait or answer maintenance, and tell that it does; some send traffic to one of several sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from backout.document import Document
from backout.holds.base import HoldMeans
from backout.observed import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pydantic import BaseModel

    from backout.platforms.base import Detection, Diagnosis, Site


class Router(HoldMeans, Protocol):
    """One router, bound to one service in one environment; a means of holding requests.

    Modes: `queue` (requests wait, none is refused) and `maintenance` (requests are answered 503). `hold`
    returns only when no request is left inside the service, or raises.
    """

    kind: ClassVar[str]
    Options: ClassVar[type[BaseModel]]

    @classmethod
    def create(cls, options: BaseModel, site: Site) -> Router:
        """Bind the router; touches nothing."""
        ...

    @classmethod
    def detect(cls, directory: Path) -> Detection | None:
        """Look for this router; changes nothing."""
        ...

    def doctor(self) -> Iterable[Diagnosis]:
        """Try what a rollback would need, touching nothing."""
        ...


class RequestsCounted(Document):
    """What a router counted of one side since it was started, or began anew."""

    requests: int
    failed: int


class Counted(Document):
    """What a router counted.

    Attributes:
        since: Names the start of its counters: another one means that they began anew, whatever they stand at.
        sides: By side.
    """

    since: str
    sides: dict[str, RequestsCounted]


@runtime_checkable
class CountsRequests(Protocol):
    """What a router adds that counts the requests of each side, and how many of them failed."""

    def counted(self, deadline_s: float) -> Counted:
        """Return what was counted so far, by side; changes nothing.

        Raises:
            TargetUnreachable: The router did not say so within the deadline (seconds from now).
        """
        ...


@runtime_checkable
class ShiftsTraffic(Protocol):
    """What a router adds that divides requests between sides of a service.

    Contract, checked by `backout.testing.traffic`: shares are absolute; no request fails that was sent before or while
    they change; what is told by `traffic` is read from the router itself.
    """

    @property
    def sides(self) -> tuple[str, ...]:
        """The names of its sides."""
        ...

    def traffic(self, deadline_s: float) -> Traffic:
        """Return where requests go now; changes nothing.

        Raises:
            TargetUnreachable: The router did not say so within the deadline (seconds from now).
        """
        ...

    def shift(self, shares: Mapping[str, int]) -> None:
        """Divide requests so, also after a reload; a side with 0 gets none, nor those of clients that stick to it.

        Sides that gain are let in before those that lose are shut out. Requests that are inside go on. While the router
        holds, it goes on holding. Idempotent.

        Args:
            shares: Per cent for every side; 100 together.

        Raises:
            NotPossible: The router cannot divide them so.
            TargetUnreachable: The router did not answer; whether it was done is told by `traffic`.
            StepFailed: The router refused, or it cannot be kept for a reload; the state is told.
        """
        ...

    def begun(self, shares: Mapping[str, int]) -> bool:
        """Tell whether things are as `shift` to these shares leaves them when it is killed halfway, or done; changes nothing.

        Raises:
            NotPossible: The router cannot divide them so.
            TargetUnreachable: The router did not answer.
        """
        ...

    def cut(self, side: str) -> int | None:
        """End what is still inside a side that gets no requests any more, and return how many that were. Idempotent.

        Returns:
            How many; None: the router cannot tell. What was told to end is gone when `traffic` says so.

        Raises:
            StepFailed: The side gets requests.
        """
        ...

    def shift_by_hand(self, shares: Mapping[str, int]) -> tuple[str, ...]:
        """Return the commands that a person would type; raises NotPossible where `shift` would."""
        ...


@runtime_checkable
class CutsSlowly(Protocol):
    """What a router adds whose `cut` takes its time: programs have to end for it."""

    @property
    def cutting_s(self) -> float:
        """Seconds that it may take until nothing is inside any more."""
        ...

"""What a router is: it can let requests wait or answer maintenance, and tell that it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from backout.holds.base import HoldMeans

if TYPE_CHECKING:
    from collections.abc import Iterable
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

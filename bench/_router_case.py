"""What a file in `routers/` gives `switch_back`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SIDES = ("blue", "green")


@dataclass(frozen=True, slots=True)
class RouterCase:
    """A real router in front of the tests' two sides, all requests to the first.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        ours: Sends all requests to the first side named, none to the second, by backout's router.
        bare: The same by what a person would type without backout.
    """

    port: int
    ours: Callable[[str, str], None]
    bare: Callable[[str, str], None]

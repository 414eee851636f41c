"""backout takes a production release back, code and database together: planned, durable, proven.

The public door::

    from backout import Backout

    backout = Backout.from_config("backout.yaml")
    plan = backout.plan()
    run = backout.run(plan)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from backout.app import Backout
    from backout.app.checking import check_migration
    from backout.app.data import Bringing
    from backout.app.migrations import Migrations
    from backout.app.record import Recording
    from backout.app.run import Conduct
    from backout.app.watch import Watching
    from backout.assess.model import Request
    from backout.errors import BackoutError, ExitCode

__all__ = [
    "Backout",
    "BackoutError",
    "Bringing",
    "Conduct",
    "ExitCode",
    "Migrations",
    "Recording",
    "Request",
    "Watching",
    "__version__",
    "check_migration",
]

_PLACES = {
    "Backout": "backout.app",
    "BackoutError": "backout.errors",
    "Bringing": "backout.app.data",
    "Conduct": "backout.app.run",
    "ExitCode": "backout.errors",
    "Migrations": "backout.app.migrations",
    "Recording": "backout.app.record",
    "Request": "backout.assess.model",
    "Watching": "backout.app.watch",
    "check_migration": "backout.app.checking",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that `backout --version` does not pay for what it does not use.
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'backout' has no attribute {name!r}")

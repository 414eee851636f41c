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
    from backout.errors import BackoutError, ExitCode

__all__ = ["Backout", "BackoutError", "ExitCode", "__version__"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `backout --version` does not pay for what it does not use.
    if name == "Backout":
        from backout.app import Backout

        return Backout
    if name in ("BackoutError", "ExitCode"):
        from backout import errors

        return getattr(errors, name)
    raise AttributeError(f"module 'backout' has no attribute {name!r}")

"""What a shell offers behind `--to` and for a run: what the state file knows; nothing where it cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from backout.app.parts import Parts

_MOST = 100


def versions(context: typer.Context, incomplete: str) -> list[str]:
    """Return recorded versions that begin so, newest first."""
    return _known(context, incomplete, lambda parts: [r.version for r in parts.book.newest(_MOST)])


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """Return names of runs that begin so, newest first."""

    def names(parts: Parts) -> list[str]:
        return [e.run or "" for e in reversed(parts.journal.events(kinds=("run.created",), newest=_MOST))]

    return _known(context, incomplete, names)


def _known(context: typer.Context, incomplete: str, look: Callable[[Parts], list[str]]) -> list[str]:
    from backout import Backout

    config = context.params.get("config") or context.find_root().params.get("config")
    try:
        with Backout.from_config(config) as backout:
            if not backout.parts.state_directory.is_dir():
                return []  # Nothing was recorded yet, and looking must not make a state file.
            found = look(backout.parts)
    except Exception:  # Somebody is typing: an error has no place here; the command itself tells it.
        return []
    return [name for name in dict.fromkeys(found) if name.startswith(incomplete)]

"""Runs as the journal tells them: all, one, and whether the journal itself can be trusted."""

from __future__ import annotations

from backout.app.parts import Parts
from backout.document import Document
from backout.errors import BackoutError
from backout.execute.run import Run, fold


class History(Document):
    """Runs, newest first; and the number of events if the journal was verified."""

    runs: tuple[Run, ...]
    verified_events: int | None = None


def history(parts: Parts, *, limit: int = 20, verify: bool = False) -> History:
    """Return the newest runs; with `verify`, walk the whole journal first.

    Raises:
        JournalTampered: The journal was changed or cut short.
    """
    verified = parts.journal.verify(_head_at_target(parts)) if verify else None
    created = parts.journal.events(kinds=("run.created",), newest=limit)
    runs = tuple(fold(parts.journal.events(e.run)) for e in reversed(created))
    return History(runs=runs, verified_events=verified)


def _head_at_target(parts: Parts) -> str | None:
    """Return the journal's head as the last run left it at the target; None if it cannot be read."""
    try:
        lease = parts.lease_store.read()
    except BackoutError:
        return None
    return lease.journal_head if lease is not None else None

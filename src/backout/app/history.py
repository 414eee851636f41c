"""Runs as the journal tells them: all, one, and whether the journal itself can be trusted."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from backout.app.elsewhere import look_elsewhere
from backout.app.parts import Parts
from backout.app.run import load
from backout.document import Document
from backout.errors import BackoutError
from backout.execute.owner import host_of
from backout.execute.run import Run, RunState, fold


class History(Document):
    """Runs, newest first; and the number of events if the journal was verified."""

    runs: tuple[Run, ...]
    verified_events: int | None = None


def history(parts: Parts, *, limit: int = 20, verify: bool = False) -> History:
    """Return the newest runs; with `verify`, walk the whole journal first.

    Raises:
        JournalTampered: The journal was changed or cut short.
    """
    look_elsewhere(parts)
    verified = parts.journal.verify(head_at_target(parts)) if verify else None
    created = parts.journal.events(kinds=("run.created",), newest=limit)
    runs = tuple(fold(parts.journal.events(e.run)) for e in reversed(created))
    return History(runs=runs, verified_events=verified)


def follow(parts: Parts, run_id: str | None, poll_s: float) -> Iterator[Run]:
    """Yield a run until it ends or stops, each time that it changed."""
    run = load(parts, run_id)
    yield run
    while run.state in (RunState.CREATED, RunState.RUNNING):
        parts.clock.wait(poll_s)
        seen, run = run, load(parts, run.id)
        if run != seen:
            yield run


def head_at_target(parts: Parts) -> str | None:
    """Return the journal's head as this machine's last run left it at the target; None if there is none.

    Another machine has a journal of its own: its head says nothing about this one.
    """
    try:
        lease = parts.lease_store.read()
    except BackoutError:
        return None
    if lease is None or host_of(lease.process) != socket.gethostname():
        return None
    return lease.journal_head

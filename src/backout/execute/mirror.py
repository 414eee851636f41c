"""Runs at the target too: every event goes there after it is in the journal here, and from there to other machines.

Which order makes every kill -9 safe, and what happens where the target cannot be written:
docs/adr/0013-runs-at-the-target.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backout.errors import BackoutError, LeaseLost, LostRace
from backout.message import msg
from backout.platforms.keeping import RunEvent, RunStore

if TYPE_CHECKING:
    from backout.clock import Clock
    from backout.execute.journal import Event, Journal

MAY_WAIT = ("step.failed", "run.stopped", "run.verified")
"""Events that no effect follows: what did not reach the target now is brought by the next event of the run."""
_PATIENCE_S, _SHORT_S = 20.0, 2.0
_TRIES = 5
_FRESH_S, _SILENT_S = 0.25, 2.0


class Mirror:
    """Brings the events of runs to the target and from it.

    Args:
        store: The target's.
        needed: Whether a run stops when the target cannot be written; in an emergency it goes on.
    """

    def __init__(self, store: RunStore, clock: Clock, *, needed: bool) -> None:
        self._store, self._clock, self._needed = store, clock, needed
        self._there: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._loose: set[str] = set()
        self._given_up: set[str] = set()
        self._behind: set[str] = set()
        self._not_before_s = 0.0

    def not_needed_for(self, run: str) -> None:
        """Let this run go on where the target cannot be written: it stops harm, and must not depend on a quota."""
        self._loose.add(run)

    def send(self, journal: Journal, run: str, kind: str | None = None) -> None:
        """Append to the target what it lacks of a run. Idempotent.

        Args:
            journal: Has the events.
            run: The run.
            kind: Of the event that was journalled just now, if it was one.

        Raises:
            LeaseLost: A newer owner wrote there; nothing was appended.
            TargetUnreachable: What the target has is not known; nothing that follows may be done.
        """
        if run in self._given_up:
            return
        needed = self._needed and run not in self._loose
        may_wait = kind in MAY_WAIT or not needed
        try:
            self._send(journal, run, _SHORT_S if may_wait else _PATIENCE_S)
        except BackoutError:
            self._there.pop(run, None)
            if not needed:
                self._given_up.add(run)  # It is tried once: what stops harm does not wait again and again.
            if not may_wait:
                raise

    def receive(self, journal: Journal, patience_s: float = _PATIENCE_S, *, at_once: bool = True) -> int:
        """Bring into the journal what the target has and it lacks, and return of how many runs that was. Idempotent.

        Args:
            journal: Gets the events.
            patience_s: How long the target may take, in seconds.
            at_once: Ask also if it was asked a moment ago.

        Raises:
            TargetUnreachable: It did not answer.
            JournalTampered: A run there is not as it was written.
        """
        now_s = self._clock.monotonic_s()
        if not at_once and now_s < self._not_before_s:
            return 0
        self._not_before_s = now_s + _SILENT_S
        brought = 0
        for run, head in sorted(self._store.heads(patience_s).items()):
            if self._known.get(run) == head or _head(journal, run) == head:
                continue
            brought += journal.adopt(self._store.read(run, patience_s))
            self._known[run] = head
            if _head(journal, run) != head:
                self._behind.add(run)
        self._not_before_s = self._clock.monotonic_s() + _FRESH_S
        return brought

    def catch_up(self, journal: Journal) -> None:
        """Bring to the target what it lacks of the runs that were received: a kill may have kept their end from it. Idempotent.

        Raises:
            TargetUnreachable: The target cannot be written.
        """
        while self._behind:
            self._send(journal, min(self._behind), _PATIENCE_S)
            self._behind.remove(min(self._behind))

    def _send(self, journal: Journal, run: str, patience_s: float) -> None:
        here = self._there.pop(run, None)
        for _ in range(_TRIES):
            if here is not None:  # This process wrote last: one event is all that is new.
                events = [e for e in map(told, journal.events(run, newest=1)) if e.identity != here]
                after: str | None = here
            else:
                stored = self._store.read(run, patience_s)
                own = [told(e) for e in journal.events(run)]
                _refuse_older_owner(run, own, stored)
                events, after = lacking(stored, own), stored[-1].identity if stored else None
            if not events or self._store.append(run, events, after=after, patience_s=patience_s):
                self._there[run] = events[-1].identity if events else str(after)
                return
            here = None
        raise LostRace(
            msg("Run {run} at the target is changed by somebody else all the time", run=run),
            state=msg("This process did nothing more."),
            next_command=f"backout status {run}",
        )


def told(event: Event) -> RunEvent:
    """Return an event of a run as other machines get it."""
    assert event.run is not None
    return RunEvent(
        at=event.at,
        run=event.run,
        actor=event.actor,
        generation=event.generation,
        kind=event.kind,
        body=event.body,
    )


def lacking(there: Sequence[RunEvent], events: Sequence[RunEvent]) -> list[RunEvent]:
    """Return those of a run's events, in order, that are not there yet, and still may come. Pure.

    What an older owner did not get across before a newer one wrote stays where it is: behind what followed it
    would tell a run that stopped after its end.
    """
    known, newest = {e.identity for e in there}, max((e.generation for e in there), default=0)
    found, generation = [], 0
    for event in events:
        generation = max(generation, event.generation)
        if event.identity not in known and generation >= newest:
            found.append(event)
    return found


def _head(journal: Journal, run: str) -> str | None:
    newest = journal.events(run, newest=1)
    return told(newest[0]).identity if newest else None


def _refuse_older_owner(run: str, own: Sequence[RunEvent], stored: Sequence[RunEvent]) -> None:
    newest = max(stored, key=lambda e: e.generation, default=None)
    if newest is not None and newest.generation > max((e.generation for e in own), default=0):
        raise LeaseLost(
            msg("Run {run} was taken over by {other}.", run=run, other=newest.actor),
            state=msg("This process stopped acting; the other one goes on."),
            next_command=f"backout status {run}",
        )

"""The canary in the journal: read as a fold, written event by event."""

from __future__ import annotations

from backout.canary import KINDS, MEANT, PAUSED, RESUMED, STOPPED, WITHDRAWN, Canary, Meant, fold
from backout.document import Json
from backout.execute.journal import Journal
from backout.ids import new_id


class Canaries:
    """Reads and notes how a canary stands; see `backout.canary`."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def canary(self) -> Canary:
        """Return how it stands; raises `StoreUnreadable`."""
        events = self._journal.events(kinds=KINDS)
        return fold((e.at, e.actor, e.run, e.kind, e.body) for e in events)

    def mean(self, meant: Meant | None, run: str, generation: int) -> None:
        """Note what is about to be done; None: what was meant is withdrawn."""
        body = {} if meant is None else meant.model_dump(mode="json")
        self._journal.append(WITHDRAWN if meant is None else MEANT, body, run=run, generation=generation)

    def pause(self, reason: str | None) -> None:
        """Note that nothing may give it more requests."""
        self._note(PAUSED, {"reason": reason})

    def resume(self) -> None:
        """Note that it may go on."""
        self._note(RESUMED, {})

    def stop(self, side: str, version: str | None, reason: str | None) -> None:
        """Note that all requests were taken from it: the release is backed out."""
        self._note(STOPPED, {"side": side, "version": version, "reason": reason})

    def _note(self, kind: str, body: dict[str, Json]) -> None:
        # A name of its own: by it a journal that was kept apart is merged once and not twice.
        name = new_id("canary", self._journal.clock.now())
        self._journal.append(kind, body, run=name)

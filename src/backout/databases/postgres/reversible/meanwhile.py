"""What the sessions of one migration have committed, for those of them whose transaction is open meanwhile.

A tool may keep its history in one session and do its work in another (Flyway): what the one has committed, and journalled, is
there when the other's COMMIT is explained, and is not its doing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

from backout.databases.postgres.reversible.difference import unlike
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing


@dataclass(eq=False, slots=True)
class Commit:
    """What a transaction changes: things as they are then, None: gone.

    Attributes:
        things: By identity.
        done: It is committed; until then nobody knows but the server.
    """

    things: dict[Key, Thing | None]
    done: bool = False


@dataclass(slots=True)
class Meanwhile:
    """The transactions of all sessions, in the order of their COMMITs."""

    _commits: list[Commit] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def now(self) -> int:
        """Return a mark: what is committed after it is found by `rebased`."""
        with self._lock:
            return len(self._commits)

    def commits(self, before: Snapshot, after: Snapshot) -> Commit:
        """Note what a transaction changes that is about to be committed."""
        made = Commit({key: is_ for key, _was, is_ in unlike(before, after)})
        with self._lock:
            self._commits.append(made)
        return made

    def ended(self, commit: Commit, *, committed: bool) -> None:
        """Note how it ended; what was not committed is forgotten."""
        with self._lock:
            commit.done = committed
            if not committed:
                commit.things = {}

    def rebased(self, before: Snapshot, after: Snapshot, since: int) -> Snapshot:
        """Return the catalog as it was when a transaction began, with what others have committed since.

        Args:
            before: As it was.
            after: As the transaction sees it now: what is not known to be committed counts where it is seen.
            since: The mark of when it began.
        """
        with self._lock:
            others = self._commits[since:]
        things = dict(before.things)
        for commit in others:
            for key, thing in commit.things.items():
                if not commit.done and after.things.get(key) != thing:
                    continue
                things.pop(key, None)
                if thing is not None:
                    things[key] = thing
        return Snapshot(things) if others else before

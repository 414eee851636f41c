"""Questions to a busy database: each in a read-only transaction of its own, none of them waits, all end in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from backout.databases.postgres.reversible.link import Link, LinkError, scalar
from backout.databases.postgres.reversible.locks import LOCK_MS

_QUESTION_S = 1.0
_ALL_S = 2.0


class Unanswered(Exception):
    """A question has no answer; the message says why."""


@dataclass(slots=True)
class Asking:
    """Asks.

    Args:
        link: A session in autocommit.
        ends_s: When all has to have ended, by the monotonic clock.
    """

    link: Link
    ends_s: float = field(default_factory=lambda: time.monotonic() + _ALL_S)

    @contextmanager
    def question(self) -> Iterator[Link]:
        """Give the session in a read-only transaction that has its time.

        Raises:
            Unanswered: It took too long, waited for a lock, or PostgreSQL refused it.
        """
        left_s = min(_QUESTION_S, self.ends_s - time.monotonic())
        if left_s <= 0:
            raise Unanswered("no time was left for it")
        self.link.rows("BEGIN READ ONLY")
        try:
            self.link.rows(f"SET LOCAL statement_timeout = {max(1, round(left_s * 1000))}")
            self.link.rows(f"SET LOCAL lock_timeout = {LOCK_MS}")
            # Where a policy hides rows from the owner, no count is better than one of some of them.
            self.link.rows("SET LOCAL row_security = off")
            yield self.link
        except LinkError as error:
            raise Unanswered(str(error)) from error
        finally:
            self.link.rows("ROLLBACK")

    def count(self, query: str) -> int:
        """Return the number that a query gives.

        Raises:
            Unanswered: It gives none in time.
        """
        with self.question() as link:
            return int(scalar(link, query) or 0)

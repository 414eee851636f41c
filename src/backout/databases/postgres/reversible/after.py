"""What is done after a COMMIT, statement by statement: it takes long, or waits, and must never block anybody."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from backout.databases.postgres.reversible.link import Link, LinkError
from backout.migration import Unfinished

_NOT_AVAILABLE = "55P03"
_PATIENCE_S = 30.0
_LOCK_MS = 50
_SLOW = ("CREATE INDEX CONCURRENTLY", "CREATE UNIQUE INDEX CONCURRENTLY")


def run_later(link: Link, statements: Sequence[str]) -> list[Unfinished]:
    """Run statements, each by itself; return those that failed. Each may be run again.

    Args:
        link: A session in autocommit.
        statements: In order; what follows a failure is tried all the same.
    """
    failed = []
    for statement in statements:
        try:
            _run(link, statement)
        except LinkError as error:
            failed.append(Unfinished(statement=statement, why=str(error)))
    return failed


def _run(link: Link, statement: str) -> None:
    """Run one. A lock that makes others wait behind us is asked for again and again, and never waited for."""
    # Building an index waits for old transactions, and nobody waits for it.
    limit_ms = 0 if statement.startswith(_SLOW) else _LOCK_MS
    link.rows(f"SET lock_timeout = {limit_ms}")
    ends_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            link.rows(statement)
        except LinkError as error:
            if error.sqlstate != _NOT_AVAILABLE or time.monotonic() > ends_s:
                raise
            time.sleep(0.05 * (0.5 + random.random()))
        else:
            return

"""Rows that are written ahead of a way back, batch by batch, until few are left for its short switch."""

from __future__ import annotations

from collections.abc import Callable

from backout.databases.postgres.reversible.link import Link, LinkError, LinkLost, scalar

BATCH = 2_000
"""Rows of one transaction."""

_MOST_BATCHES = 10_000


def in_batches(link: Link, batch: Callable[[], int]) -> int:
    """Write batch after batch, each a transaction; return how many rows. What PostgreSQL refuses ends it, and is left to the way back.

    Args:
        link: A session in autocommit.
        batch: Writes at most `BATCH` rows and commits; returns how many.
    """
    rows = 0
    for _ in range(_MOST_BATCHES):
        try:
            changed = batch()
        except LinkLost:
            raise
        except LinkError:
            link.rows("ROLLBACK")
            return rows
        rows += changed
        if changed < BATCH:
            return rows
    return rows


def are_many(link: Link, rows: Callable[[], str], many: int) -> bool:
    """Tell whether there are so many rows, as far as PostgreSQL finds them by an index without an error.

    Args:
        link: A session in autocommit.
        rows: Returns the SELECT that finds them, in the transaction in which it is run.
        many: How many.
    """
    link.rows("BEGIN READ ONLY")
    try:
        query = rows()
        link.rows("SET LOCAL enable_seqscan = off")
        return scalar(link, f"SELECT count(*) FROM ({query} LIMIT {many}) s") == str(many)
    except LinkLost:
        raise
    except LinkError:
        return False
    finally:
        link.rows("ROLLBACK")

"""The COMMIT of one of our own transactions: where the server does not answer to it, nobody knows what became of it."""

from __future__ import annotations

from backout.databases.postgres.reversible.link import Link, LinkLost
from backout.faults import fault_point


class CommitUnanswered(Exception):
    """The session ended before the server had answered to COMMIT: all of it was done, or nothing."""


def commit(link: Link) -> None:
    """Commit the open transaction.

    Raises:
        CommitUnanswered: It is not known whether it was committed.
        LinkError: The server refused it, and rolled back.
    """
    fault_point("db.commit.before")
    try:
        link.rows("COMMIT")
    except LinkLost as error:
        raise CommitUnanswered(str(error)) from error
    fault_point("db.commit.after")

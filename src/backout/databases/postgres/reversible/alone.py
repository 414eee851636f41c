"""One at a time: whoever changes a database's journal holds its lock, so that one that waits for nobody is a dead one's."""

from __future__ import annotations

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.intent import recognise
from backout.databases.postgres.reversible.link import Link, scalar

_LOCK = 0x6261636B6F7574  # "backout"


class Busy(Exception):
    """Another migration runs in this database.

    Attributes:
        pid: The server process of whoever runs it; None: it has just ended.
    """

    def __init__(self, pid: int | None) -> None:
        super().__init__("another migration runs")
        self.pid = pid


def alone(link: Link) -> None:
    """Take the database's migration lock for as long as the session lasts, and end in the journal what a kill left open.

    Raises:
        Busy: Another process has it.
    """
    if scalar(link, f"SELECT pg_catalog.pg_try_advisory_lock({_LOCK})") != "t":
        raise Busy(runs(link))
    if journal.installed(link):
        recognise(link)
        journal.bury(link)


def runs(link: Link) -> int | None:
    """Return the server process that holds the migration lock; None: none runs."""
    pid = scalar(
        link,
        "SELECT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
        f"AND (classid::int8 << 32 | objid::int8) = {_LOCK} "
        "AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())",
    )
    return int(pid) if pid else None

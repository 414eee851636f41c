"""Taking every lock at the beginning, without ever standing in anybody's way: asked for again and again, never waited for.

Whoever waits for an exclusive lock makes all others wait behind it; and who waits longer than the server's
`deadlock_timeout` can make somebody else the victim of a deadlock.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backout.databases.postgres.reversible.link import Link, LinkError, objects
from backout.databases.postgres.reversible.names import ident

_NOT_AVAILABLE = "55P03"
_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Holder:
    """A session that has a lock on a table that is wanted.

    Attributes:
        pid: Its process on the server.
        who: Role and program.
        since: How long its transaction is open, as PostgreSQL prints it.
        query: What it runs, or ran last.
        table: What it holds.
        seconds: The same as `since`, in seconds.
    """

    pid: int
    who: str
    since: str
    query: str
    table: str
    seconds: float = 0


class Locked(Exception):
    """The locks were not to be had in time.

    Attributes:
        holders: Who has them.
    """

    def __init__(self, holders: Sequence[Holder]) -> None:
        super().__init__("the tables are in use")
        self.holders = tuple(holders)


def locked(
    link: Link, tables: Sequence[int], *, patience_s: float, monotonic: Callable[[], float] = time.monotonic
) -> None:
    """Begin a transaction that has the exclusive lock of every table, or none.

    Args:
        link: In no transaction; in one afterwards.
        tables: Oids; those that are gone are left out.
        patience_s: Seconds to go on trying.
        monotonic: Clock.

    Raises:
        Locked: They were not to be had; no transaction is open.
    """
    ends_s = monotonic() + patience_s
    while True:
        link.rows("BEGIN")
        names = _names(link, tables)
        if not names:
            return
        try:
            link.rows(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE NOWAIT")
        except LinkError as error:
            link.rows("ROLLBACK")
            if error.sqlstate != _NOT_AVAILABLE:
                raise
            if monotonic() > ends_s:
                raise Locked(holders(link, tables)) from None
            time.sleep(_PAUSE_S * (0.5 + random.random()))
        else:
            return


def holders(link: Link, tables: Sequence[int]) -> list[Holder]:
    """Name who has a lock on one of the tables, the oldest transaction first."""
    if not tables:
        return []
    numbers = ", ".join(map(str, tables))
    found = objects(
        link,
        f"""SELECT DISTINCT ON (a.xact_start, a.pid) a.pid,
          concat_ws(', ', a.usename, nullif(a.application_name, ''), host(a.client_addr)) AS who,
          date_trunc('second', clock_timestamp() - a.xact_start)::text AS since,
          left(regexp_replace(a.query, '\\s+', ' ', 'g'), 200) AS query, l.relation::regclass::text AS "table",
          coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 AS seconds
        FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)
        WHERE l.relation IN ({numbers}) AND l.granted AND a.pid <> pg_backend_pid()
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        ORDER BY a.xact_start, a.pid""",
    )
    return [Holder(**{**one, "since": one["since"] or "", "query": one["query"] or ""}) for one in found]


def _names(link: Link, tables: Sequence[int]) -> list[str]:
    if not tables:
        return []
    found = objects(
        link,
        "SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.oid IN ({', '.join(map(str, sorted(set(tables))))}) AND c.relkind IN ('r', 'p') ORDER BY c.oid",
    )
    return [ident(one["schema"], one["name"]) for one in found]

"""Taking every lock at the beginning, without ever standing in anybody's way: asked for again and again, never waited for.

Whoever waits for an exclusive lock makes all others wait behind it; and who waits longer than the server's
`deadlock_timeout` can make somebody else the victim of a deadlock.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from backout.databases.postgres.reversible.link import Link, LinkError, objects, scalar
from backout.databases.postgres.reversible.names import ident, literal

_Made = TypeVar("_Made")

Numbered = tuple[int, int]
"""A column, by its table's oid and its number; 0: all of the table's, or the oid is a sequence's or a view's own."""

NOT_AVAILABLE = "55P03"
"""Source: PostgreSQL 15 documentation, appendix A, `lock_not_available`."""
LOCK_MS = 100
"""For so long a statement waits for a lock at most, whatever else it needs than the tables: nobody has to wait behind it for longer."""
_PAUSE_S = 0.02
_SEQUENCE_MS = 20
"""For so long others may have to wait behind us for a number, so that those who have one can end."""
_WORDS = {"S": "SEQUENCE", "v": "VIEW", "m": "MATERIALIZED VIEW"}


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


def asked_again(attempt: Callable[[], _Made], *, patience_s: float) -> _Made:
    """Do what needs a lock again and again, until the lock is to be had; what it returns is returned.

    Args:
        attempt: Raises `LinkError` with 55P03 where the lock is not to be had at once, and leaves no transaction then.
        patience_s: Seconds to go on trying.

    Raises:
        LinkError: That of the last attempt, or another one.
    """
    ends_s = time.monotonic() + patience_s
    while True:
        try:
            return attempt()
        except LinkError as error:
            if error.sqlstate != NOT_AVAILABLE or time.monotonic() > ends_s:
                raise
        time.sleep(_PAUSE_S * (0.5 + random.random()))


def begin_locked(link: Link, tables: str, mode: str, sequences: Sequence[str] = ()) -> None:
    """Begin a transaction that has a lock of tables at once, or none.

    Args:
        link: In no transaction; in one afterwards.
        tables: Quoted names, as a list; empty: no lock.
        mode: Of the lock, without the word MODE.
        sequences: What `of_sequences` returns: locked before.

    Raises:
        LinkError: 55P03: somebody else has it; no transaction is open.
    """
    link.rows("BEGIN")
    if not tables:
        return
    try:
        lock_sequences(link, sequences)
        link.rows(f"LOCK TABLE {tables} IN {mode} MODE NOWAIT")
    except LinkError:
        link.rows("ROLLBACK")
        raise


def of_sequences(link: Link, columns: Collection[Numbered]) -> list[str]:
    """Return statements that take the exclusive locks of the sequences that number columns, and of views, and change nothing.

    LOCK TABLE takes none of a sequence, and of a view that of its tables, too; giving one to the role that owns it does, and
    leaves it as it is.
    Source: PostgreSQL 15, src/backend/commands/tablecmds.c, ATExecChangeOwner and AlterTableGetLockLevel.

    Args:
        link: The session.
        columns: Whose are needed, and no others: who inserts a row asks those of all columns.

    Returns:
        Views first, those upon others before them, as who reads one has its lock when he comes to what it shows; sequences that
        number by themselves last, as a client asks the others first; else in another order each time, as theirs is unknown.
    """
    if not columns:
        return []
    pairs = ", ".join(f"({oid}, {sub})" for oid, sub in sorted(set(columns)))
    found = objects(
        link,
        f"WITH wanted(oid, sub) AS (VALUES {pairs}) SELECT n.nspname AS schema, c.relname AS name, r.rolname AS owner, c.relkind AS kind FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_catalog.pg_roles r ON r.oid = c.relowner LEFT JOIN pg_catalog.pg_depend d ON d.objid = c.oid "
        "AND d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = d.classid AND d.deptype IN ('a', 'i') "
        "WHERE c.relkind IN ('S', 'v', 'm') AND EXISTS (SELECT FROM wanted w WHERE w.oid IN (c.oid, d.refobjid) AND w.sub IN (0, d.refobjsubid)) "
        "ORDER BY c.relkind = 'S', CASE WHEN c.relkind IN ('v', 'm') THEN c.oid END DESC, d.deptype IS NOT DISTINCT FROM 'i', random()",
    )
    return [
        f"ALTER {_WORDS[one['kind']]} {ident(one['schema'], one['name'])} OWNER TO {ident(one['owner'])}"
        for one in found
    ]


def lock_sequences(link: Link, statements: Sequence[str]) -> None:
    """Take locks of sequences and views, before those of their tables: in that order a client does that asks for a number first.

    Who has asked for one and has not written its row yet needs the table, and would wait for it behind us.

    Args:
        link: In a transaction; its `lock_timeout` is set again.
        statements: What `of_sequences` returns.

    Raises:
        LinkError: 55P03: one was not to be had.
    """
    if not statements:
        return
    had = scalar(link, "SELECT pg_catalog.current_setting('lock_timeout')")
    link.rows(f"SET LOCAL lock_timeout = '{_SEQUENCE_MS}ms'")
    for one in statements:
        link.rows(one)
    link.rows(f"SET LOCAL lock_timeout = {literal(had)}")


def locked(
    link: Link, tables: Sequence[int], *, patience_s: float, numbered: Collection[Numbered] = ()
) -> None:
    """Begin a transaction that has the exclusive lock of every table, or none.

    Args:
        link: In no transaction; in one afterwards.
        tables: Oids; those that are gone are left out.
        patience_s: Seconds to go on trying.
        numbered: Columns whose sequences are to be changed, too, and views: their locks come first.

    Raises:
        Locked: They were not to be had; no transaction is open.
    """
    try:
        asked_again(
            lambda: begin_locked(
                link, ", ".join(_names(link, tables)), "ACCESS EXCLUSIVE", of_sequences(link, numbered)
            ),
            patience_s=patience_s,
        )
    except LinkError as error:
        if error.sqlstate != NOT_AVAILABLE:
            raise
        raise Locked(holders(link, tables)) from None


def under_locks(
    link: Link,
    tables: Sequence[int],
    work: Callable[[], _Made],
    *,
    patience_s: float,
    numbered: Collection[Numbered] = (),
) -> _Made:
    """Work in a transaction that has the exclusive lock of every table, and return with the transaction open.

    The whole is tried again where something else that the work needs is in use. After an error no transaction is open.

    Raises:
        Locked: The tables, or what else the work needs, were not to be had in time.
        LinkError: What the work raised.
    """
    ends_s = time.monotonic() + patience_s

    def attempt() -> _Made:
        locked(link, tables, patience_s=max(0, ends_s - time.monotonic()), numbered=numbered)
        try:
            return work()
        except Exception:
            link.rows("ROLLBACK")
            raise

    try:
        return asked_again(attempt, patience_s=patience_s)
    except LinkError as error:
        if error.sqlstate != NOT_AVAILABLE:
            raise
        raise Locked(holders(link, tables)) from None


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

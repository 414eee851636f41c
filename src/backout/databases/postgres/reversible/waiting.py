"""Sessions that wait for locks, and who keeps them waiting: a migration that hangs holds up everybody behind it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence

from backout.databases.postgres.reversible.link import Link, LinkError, objects, scalar
from backout.databases.postgres.reversible.names import literal
from backout.migration_status import BlockedSession

_NO_RIGHT = "42501"
_END_S = 5.0
_PAUSE_S = 0.02
_SECRET = re.compile(r"password|secret|token", re.IGNORECASE)

# Source: PostgreSQL 15 documentation, 9.26 "System Information Functions": `pg_blocking_pids` tells those who hold a lock
# and those who wait for one before us; 0 is a prepared transaction. 54.2.6: who may end a session.
_SESSIONS = """
WITH RECURSIVE edges AS MATERIALIZED (
  SELECT a.pid, pg_catalog.pg_blocking_pids(a.pid) AS by FROM pg_catalog.pg_stat_activity a
  WHERE a.wait_event_type = 'Lock' AND a.datname = pg_catalog.current_database()),
named AS (SELECT DISTINCT pid FROM (SELECT pid FROM edges WHERE by <> '{}' UNION ALL SELECT unnest(by) FROM edges) x)
SELECT n.pid, coalesce((SELECT array_agg(DISTINCT b) FROM edges e, unnest(e.by) b WHERE e.pid = n.pid), '{}') AS blocked_by,
  a.backend_start::text AS began, coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 AS seconds,
  a.state, regexp_replace(left(a.query, 500), '\\s+', ' ', 'g') AS query, a.usename AS role,
  nullif(a.application_name, '') AS application, host(a.client_addr) AS client, r.rolsuper AS superuser,
  coalesce(NOT r.rolsuper AND (pg_has_role(a.usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE')), false)
    OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) AS endable
FROM named n LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = n.pid LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
ORDER BY a.xact_start NULLS FIRST, n.pid"""


def waiting(link: Link, redact: Callable[[str], str]) -> list[BlockedSession]:
    """Return who waits and who blocks: every root with those behind it, the oldest first.

    Args:
        link: A session in autocommit.
        redact: Takes secrets out of a text.
    """
    found = {int(one["pid"]): one for one in objects(link, _SESSIONS)}
    return [
        _session(found[pid], depth, redact)
        for pid, depth in _tree({p: o["blocked_by"] for p, o in found.items()})
    ]


def _tree(blocked_by: dict[int, list[int]]) -> Iterator[tuple[int, int]]:
    """Yield each session once with its depth: whoever waits for nobody first, then those behind it."""
    seen: set[int] = set()

    def below(pid: int, depth: int) -> Iterator[tuple[int, int]]:
        if pid in seen:
            return
        seen.add(pid)
        yield pid, depth
        for other, by in blocked_by.items():
            if pid in by:
                yield from below(other, depth + 1)

    for pid in [pid for pid, by in blocked_by.items() if not by]:
        yield from below(pid, 0)
    for pid in blocked_by:  # in a circle: a deadlock, which the server is about to end
        yield from below(pid, 0)


def _session(one: dict[str, object], depth: int, redact: Callable[[str], str]) -> BlockedSession:
    query = redact(str(one["query"] or ""))
    if _SECRET.search(query):
        query = "(not shown: it speaks of a secret)"
    told = {
        name: one[name]
        for name in ("pid", "began", "seconds", "state", "role", "client", "blocked_by", "endable")
    }
    application = redact(str(one["application"])) if one["application"] else None
    kind = "prepared" if one["pid"] == 0 else "superuser" if one["superuser"] else "session"
    return BlockedSession.model_validate(
        {**told, "query": query or None, "application": application, "depth": depth, "kind": kind}
    )


def end(link: Link, roots: Sequence[BlockedSession]) -> tuple[list[int], dict[int, str]]:
    """End sessions, told by process and start: a number that another one has got since is left alone.

    Returns:
        The processes of those that are gone, and of the others why they are not.
    """
    kept = {one.pid: why for one in roots if (why := _may_not(one)) is not None}
    for one in roots:
        if one.pid in kept:
            continue
        try:
            link.rows(
                f"SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE {_same(one)}"
            )
        except LinkError as error:
            if error.sqlstate != _NO_RIGHT:
                raise
            kept[one.pid] = str(error)
    ends_s = time.monotonic() + _END_S
    asked = [one for one in roots if one.pid not in kept]
    while (left := [one for one in asked if _is_there(link, one)]) and time.monotonic() < ends_s:
        time.sleep(_PAUSE_S)
    kept |= {one.pid: f"it was asked to end, and is still there after {_END_S:.0f} s" for one in left}
    return [one.pid for one in asked if one not in left], kept


def _may_not(one: BlockedSession) -> str | None:
    """Tell why this role may not end a session; None: it may."""
    if one.kind == "prepared":
        return "it is a prepared transaction: ROLLBACK PREPARED or COMMIT PREPARED ends it"
    if one.endable:
        return None
    if one.kind == "superuser":
        return "only a superuser may end a superuser's session"
    return f"only {one.role or 'its role'} or a member of pg_signal_backend may end it"


def _is_there(link: Link, one: BlockedSession) -> bool:
    return scalar(link, f"SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE {_same(one)})") == "t"


def _same(one: BlockedSession) -> str:
    # The start of a session that this role may not look at is hidden, here as before.
    return f"pid = {one.pid} AND backend_start IS NOT DISTINCT FROM {literal(one.began)}::timestamptz"

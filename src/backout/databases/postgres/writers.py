"""Names who has written in a transaction that is still open: its rows are in no statistics yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backout.errors import NotPossible
from backout.message import msg

if TYPE_CHECKING:
    import psycopg

# Autovacuum workers have no user. The transaction id is shown to every role, other than state and query.
_WRITING = """
SELECT 'pid ' || pid || ' role ' || usename FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND backend_xid IS NOT NULL AND usesysid IS NOT NULL
UNION ALL
SELECT 'prepared transaction ' || quote_literal(gid) || ' role ' || owner FROM pg_prepared_xacts
WHERE database = current_database()
ORDER BY 1"""


def open_writers(connection: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Return the sessions and prepared transactions of this database that have written and not committed.

    A session that only locked rows (`SELECT … FOR UPDATE`) is among them: it cannot be told from one that
    wrote.

    Raises:
        NotPossible: This is a standby, where nobody's writes are to be seen.

    Source: PostgreSQL 15 documentation, 28.2.3 "pg_stat_activity" (`backend_xid`), 54.17
        "pg_prepared_xacts"; pgstatfuncs.c, pg_stat_get_activity: "Values available to all callers".
    """
    row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    if row is None or row[0]:
        raise NotPossible(
            msg("Whether writes arrive cannot be told here: this is a standby"),
            state=msg("Nothing was changed by looking."),
            next_command="backout doctor  # and let database.url name the primary",
        )
    return tuple(str(found[0]) for found in connection.execute(_WRITING).fetchall())

"""What a post-mortem asks of the database at the moment of the way back: who does what, who waits for whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

# Values in statements may be anybody's data: a statement is kept to its first words.
# Source: PostgreSQL 15 documentation, 28.2.3 "pg_stat_activity", 9.26 "pg_blocking_pids".
_SESSIONS = """
SELECT pid, usename, application_name, state, wait_event_type, wait_event,
       (now() - xact_start)::interval(0)::text AS transaction_for,
       (now() - state_change)::interval(0)::text AS in_state_for,
       pg_blocking_pids(pid)::text AS waits_for,
       left(regexp_replace(query, '\\s+', ' ', 'g'), 60) AS statement
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY backend_start"""


def sessions(connection: psycopg.Connection[Any]) -> Iterator[tuple[str, str]]:
    """Yield the sessions of this database, a line for each."""
    found = connection.execute(_SESSIONS)
    names = [column.name for column in found.description or ()]
    lines = [" | ".join(names)]
    lines += [" | ".join("" if value is None else str(value) for value in row) for row in found.fetchall()]
    yield "database sessions", "\n".join(lines)

"""What a server is asked while a restore runs: how large its WAL is, and how far standbys and slots lag behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backout.errors import NotPossible, StepFailed
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg

    from backout.backup import RestoreOrder

# Slots are shown to every role; a standby without a slot only to those that may monitor.
# Source: PostgreSQL 15 documentation, 54.19 "pg_replication_slots", 28.2.4 "pg_stat_replication".
_LAG = """
SELECT greatest(
  (SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) FROM pg_replication_slots
   WHERE restart_lsn IS NOT NULL),
  (SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, flush_lsn, sent_lsn)))
   FROM pg_stat_replication))::bigint,
  EXISTS (SELECT 1 FROM pg_stat_replication r WHERE r.sent_lsn IS NULL AND r.state IS NULL
          AND NOT EXISTS (SELECT 1 FROM pg_replication_slots s WHERE s.active_pid = r.pid))"""


def lag_bytes(connection: psycopg.Connection[Any]) -> int | None:
    """Return by how many bytes the slowest standby or slot lags behind; None: there is none.

    Raises:
        NotPossible: A standby is connected that this role may not look at.
    """
    row = connection.execute(_LAG).fetchone()
    lag, hidden = row or (None, False)
    if hidden:
        raise _hidden(connection, msg("How far the standbys lag behind is hidden from this role"))
    return None if lag is None else int(lag)


def refuse_too_much_wal(connection: psycopg.Connection[Any], order: RestoreOrder) -> None:
    """Raise where the WAL is larger than the order allows: a disk that is full of it stops the whole server.

    Raises:
        StepFailed: It is larger.
        NotPossible: This role may not look at it.
    """
    if order.max_wal_bytes is None:
        return
    size = wal_bytes(connection)
    if size > order.max_wal_bytes:
        raise StepFailed(
            msg(
                "The server's write-ahead log has {size} bytes, and {limit} are allowed: what keeps it?",
                size=size,
                limit=order.max_wal_bytes,
            ),
            state=msg("The live database is untouched."),
            next_command="psql -c 'SELECT * FROM pg_stat_archiver' -c 'SELECT * FROM pg_replication_slots'",
        )


def wal_bytes(connection: psycopg.Connection[Any]) -> int:
    """Return the size of the server's write-ahead log, whatever keeps it: an archive, a slot, a checkpoint to come.

    Raises:
        NotPossible: This role may not look at it.
    """
    from psycopg import errors

    try:
        # Source: PostgreSQL 15 documentation, 9.27.9 "Generic File Access Functions".
        row = connection.execute("SELECT coalesce(sum(size), 0)::bigint FROM pg_ls_waldir()").fetchone()
    except errors.InsufficientPrivilege:
        raise _hidden(connection, msg("How large the write-ahead log is is hidden from this role")) from None
    return int(row[0]) if row else 0


def _hidden(connection: psycopg.Connection[Any], what: Message) -> NotPossible:
    return NotPossible(
        what,
        state=msg("The live database is untouched."),
        next_command=f"psql -c 'GRANT pg_monitor TO \"{connection.info.user}\"'  # as an administrator",
    )

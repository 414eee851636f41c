"""What is watched while a restore runs: free space, and how far standbys and slots lag behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backout.errors import NotPossible
from backout.message import msg

if TYPE_CHECKING:
    import psycopg

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
        raise NotPossible(
            msg("How far the standbys lag behind is hidden from this role"),
            state=msg("The live database is untouched."),
            next_command=f"psql -c 'GRANT pg_monitor TO \"{connection.info.user}\"'  # as an administrator",
        )
    return None if lag is None else int(lag)

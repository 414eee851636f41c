"""PgBouncer in front of the database: its clients wait during a swap instead of being refused.

Source: PgBouncer 1.18 documentation, "Admin console": PAUSE waits until server connections are released, RECONNECT
closes each as soon as it is free, RESUME lets clients on.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.cluster import Cluster
from backout.databases.postgres.connect import pooler_session
from backout.errors import BackoutError
from backout.faults import fault_point
from backout.message import msg

if TYPE_CHECKING:
    import psycopg

    from backout.databases.restores import Note

_TIMEOUT_S = 5.0
_PAUSE_S = 0.3


def pause(cluster: Cluster) -> bool:
    """Let the pooler's clients wait; False: there is no pooler. A busy one pauses once its sessions were ended.

    Idempotent.
    """
    if cluster.pooler is None:
        return False
    fault_point("swap.pause.before")
    for alias in _aliases(cluster):
        # PAUSE answers only once all is released; the sessions that keep it waiting are ended soon.
        with pooler_session(cluster.pooler, cluster.connector.redactor, _TIMEOUT_S) as connection:
            _ask(connection, f'PAUSE "{alias}"', _PAUSE_S)
    fault_point("swap.pause.after")
    return True


def resume(cluster: Cluster, note: Note | None = None) -> None:
    """Let the pooler's clients on, with new sessions. Idempotent; what goes wrong is told, and stops nothing."""
    if cluster.pooler is None:
        return
    fault_point("swap.resume.before")
    try:
        for alias in _aliases(cluster):
            with pooler_session(cluster.pooler, cluster.connector.redactor, _TIMEOUT_S) as connection:
                _ask(connection, f'RECONNECT "{alias}"', _TIMEOUT_S)
                _ask(connection, f'RESUME "{alias}"', _TIMEOUT_S)
    except BackoutError as error:
        if note is None:
            raise
        note(
            msg(
                "The pooler could not be told: {why}; type in its console: RECONNECT; RESUME",
                why=str(error.what),
            )
        )
    fault_point("swap.resume.after")


def _aliases(cluster: Cluster) -> list[str]:
    """Return the names under which the pooler offers the live database."""
    assert cluster.pooler is not None
    with pooler_session(cluster.pooler, cluster.connector.redactor, _TIMEOUT_S) as connection:
        cursor = connection.execute("SHOW DATABASES")
        columns = [column.name for column in cursor.description or ()]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return [str(row["name"]).replace('"', '""') for row in rows if row.get("database") == cluster.live]


def _ask(connection: psycopg.Connection[Any], command: str, timeout_s: float) -> None:
    """Send a command; what is already so (paused, not paused) is no error, and an answer may come too late."""
    raw = connection.pgconn
    raw.send_query(command.encode())
    ends_s = time.monotonic() + timeout_s
    while True:
        raw.flush()
        raw.consume_input()
        if not raw.is_busy():
            if raw.get_result() is None:
                return
            continue
        if time.monotonic() >= ends_s:
            return
        time.sleep(0.005)

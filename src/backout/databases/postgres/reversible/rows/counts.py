"""The net below the triggers: which tables a transaction has changed, and which of those changes were not logged.

Source: PostgreSQL 15 and 18 documentation, section "The Cumulative Statistics System", `pg_stat_xact_user_tables`.
"""

from __future__ import annotations

from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, SCHEMA
from backout.databases.postgres.reversible.rows.store import LOG

Counts = dict[int, tuple[int, int, int]]


def changed(session: Link) -> Counts:
    """Return rows inserted, updated and deleted by table (oid), as the session counts them at this moment.

    What earlier transactions did may be among them, so only the difference of two calls tells what one transaction did.
    Rows that were rolled back to a savepoint are counted.
    """
    found = objects(
        session,
        "SELECT relid::int8 AS oid, n_tup_ins AS i, n_tup_upd AS u, n_tup_del AS d FROM pg_catalog.pg_stat_xact_user_tables "
        f"WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 AND schemaname NOT IN ('{SCHEMA}', '{HIDDEN_SCHEMA}')",
        again=True,
    )
    return {int(one["oid"]): (int(one["i"]), int(one["u"]), int(one["d"])) for one in found}


def logged(session: Link, migration: int) -> dict[int, int]:
    """Return how many rows a migration has logged by table (oid), as the session sees it."""
    found = objects(
        session,
        f"SELECT relation::int8 AS oid, count(*) AS n FROM {LOG} WHERE migration = {migration} GROUP BY 1",
        again=True,
    )
    return {int(one["oid"]): int(one["n"]) for one in found}


def uncaptured(
    session: Link, own: Link, migration: int, before: Counts, logged_before: dict[int, int]
) -> list[str]:
    """Return the tables that a transaction has changed without a log of it.

    A table that the transaction has made is left out, and temporary ones are. Rows that a block of PL/pgSQL has rolled back
    since are counted though their log is gone: such a table is named for safety.

    Args:
        session: In its transaction, before COMMIT, acting as the role that logged in.
        own: Another session: what it cannot see was made by the transaction.
        migration: Number.
        before: `changed` of when the transaction began, or of a later moment up to which nothing is missing.
        logged_before: `logged` of then.

    Returns:
        Names with their schemas.
    """
    now, log = changed(session), logged(session, migration)
    suspects = []
    for oid, counts in now.items():
        changes = sum(counts) - sum(before.get(oid, (0, 0, 0)))
        if changes > log.get(oid, 0) - logged_before.get(oid, 0):
            suspects.append(oid)
    if not suspects:
        return []
    found = objects(
        own,
        "SELECT n.nspname || '.' || c.relname AS called FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.oid IN ({', '.join(map(str, suspects))}) AND c.relpersistence <> 't' ORDER BY 1",
    )
    return [str(one["called"]) for one in found]

"""The net below the triggers: which tables a transaction has changed, and which of those changes were not logged.

Source: PostgreSQL 15 and 18 documentation, section "The Cumulative Statistics System", `pg_stat_xact_user_tables`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, SCHEMA
from backout.databases.postgres.reversible.rows.store import LOG

Counts = dict[int, tuple[int, int, int]]

_CHANGED = (
    "SELECT relid::int8 AS oid, n_tup_ins AS i, n_tup_upd AS u, n_tup_del AS d FROM pg_catalog.pg_stat_xact_user_tables "
    f"WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 AND schemaname <> '{SCHEMA}' "
    f"AND NOT (schemaname = '{HIDDEN_SCHEMA}' AND relname ~ '^_bo_[0-9]+_values$') "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relid AND relkind = 'm')"
)
# The rows of a materialized view are its query's, whoever refreshes it; values that are kept beside follow their rows.


def changed(session: Link) -> Counts:
    """Return rows inserted, updated and deleted by table (oid), as the session counts them at this moment.

    What earlier transactions did may be among them, so only the difference of two calls tells what one transaction did.
    Rows that were rolled back to a savepoint are counted.
    """
    return _counts(objects(session, _CHANGED, again=True))


def _counts(found: Iterable[dict[str, Any]]) -> Counts:
    return {int(one["oid"]): (int(one["i"]), int(one["u"]), int(one["d"])) for one in found}


@dataclass(frozen=True, slots=True)
class Tally:
    """What a session counts at one moment.

    Attributes:
        changed: As `changed` tells.
        logged: How many rows the migration has logged by table (oid), as the session sees it.
        counted: The server counts the rows that a transaction changes.
    """

    changed: Counts = field(default_factory=dict)
    logged: dict[int, int] = field(default_factory=dict)
    counted: bool = True


def tally(session: Link, migration: int) -> Tally:
    """Return what a session counts at this moment, acting as the role that logged in."""
    log = f"SELECT relation::int8 AS oid, count(*) AS n FROM {LOG} WHERE migration = $1::bigint GROUP BY 1"
    (found,) = objects(
        session,
        "SELECT pg_catalog.current_setting('track_counts') = 'on' AS counted, "
        f"(SELECT pg_catalog.json_agg(c) FROM ({_CHANGED}) c) AS changed, (SELECT pg_catalog.json_agg(l) FROM ({log}) l) AS logged",
        [str(migration)],
        again=True,
    )
    logged = {int(one["oid"]): int(one["n"]) for one in found["logged"] or ()}
    return Tally(_counts(found["changed"] or ()), logged, found["counted"])


def uncaptured(
    own: Link,
    before: Tally,
    now: Tally,
    made: Collection[int] = (),
    free: Mapping[int, int] | None = None,
) -> list[str]:
    """Return the tables that a transaction has changed without a log of it.

    A table that the transaction has made is left out, and temporary ones are. Rows that a block of PL/pgSQL has rolled back
    since are counted though their log is gone: such a table is named for safety.

    Args:
        own: Another session: what it cannot see was made by the transaction.
        before: Of when the transaction began, or of a later moment up to which nothing is missing.
        now: Of the moment that is asked about.
        made: Oids of tables that are left out, too.
        free: By table (oid), how many changes needed no log.

    Returns:
        Names with their schemas.
    """
    suspects = []
    for oid, counts in now.changed.items():
        if oid in made:
            continue
        changes = sum(counts) - sum(before.changed.get(oid, (0, 0, 0)))
        changes -= (free or {}).get(oid, 0)
        if changes > now.logged.get(oid, 0) - before.logged.get(oid, 0):
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

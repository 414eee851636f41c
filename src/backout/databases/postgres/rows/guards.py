"""What has to be so before rows are written: no hold, no rules, and no trigger that would do more than that.

Rows are brought as they were. A trigger that ran when a row was written first would run a second time: an
audit entry twice, an e-mail twice, `updated_at` of now. So the table's own triggers are disabled inside the
transaction and enabled before it ends. That locks the table against other writers (not readers) from the
first row on, hence only where there are triggers. Foreign keys are still checked: those triggers are the
system's own. Source: PostgreSQL 15 documentation, "ALTER TABLE" (DISABLE TRIGGER: SHARE ROW EXCLUSIVE lock).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from backout.databases.postgres.marks import SETTING
from backout.databases.postgres.writes import RefuseWrites
from backout.errors import NotPossible
from backout.message import msg
from backout.observed import Answer

if TYPE_CHECKING:
    import psycopg

    from backout.databases.postgres.connect import Connector
    from backout.databases.postgres.rows.tables import Pair

_DEADLINE_S = 10.0
_TRUE = ("true", "t", "yes", "y", "on", "1")

_TRIGGERS = """
SELECT n.nspname::text, c.relname::text, t.tgname::text, t.tgenabled::text, pg_has_role(c.relowner, 'USAGE')
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
  AND (c.oid = %(oid)s OR c.oid IN (SELECT relid FROM pg_partition_tree(%(oid)s::oid::regclass)))
ORDER BY c.oid, t.tgname"""

_RULES = """
SELECT rulename::text FROM pg_rewrite
WHERE ev_class = %s AND ev_type = ANY(%s) AND ev_enabled IN ('O', 'A') ORDER BY 1"""


class Trigger(NamedTuple):
    """One trigger that would fire; `state` O: by default, A: always."""

    schema: str
    table: str
    name: str
    state: str
    ours: bool


def refuse_held(connector: Connector) -> None:
    """Raise `NotPossible` while the live database refuses writes: nobody expects rows to come then."""
    fact = RefuseWrites(connector).observe(_DEADLINE_S)
    setting = str(fact.prior.get(SETTING) or "")
    if fact.held is Answer.NO and setting.lower() not in _TRUE:
        return
    raise NotPossible(
        msg("The live database refuses writes: it is held, or read-only by its own setting."),
        state=msg("Nothing was changed."),
        next_command="backout release-hold" if fact.held is not Answer.NO else "backout doctor",
    )


def rules_of(live: psycopg.Connection[Any], oid: int, *, deletes: bool = False) -> list[str]:
    """Return the rewrite rules that make something else of what is updated, inserted and (`deletes`) deleted."""
    kinds = ["2", "3", *(["4"] if deletes else [])]
    return [str(row[0]) for row in live.execute(_RULES, (oid, kinds)).fetchall()]


def refuse_rules(live: psycopg.Connection[Any], pair: Pair) -> None:
    """Raise `NotPossible` where a rewrite rule would make something else of what is written."""
    assert pair.live is not None
    rules = rules_of(live, pair.live.oid)
    if rules:
        raise NotPossible(
            msg(
                "{table} has rules that change what is written: {rules}",
                table=pair.label,
                rules=", ".join(rules),
            ),
            state=msg("Nothing was changed."),
            next_command=f"backout data diff --table '{pair.label}'",
        )


def firing_triggers(live: psycopg.Connection[Any], pair: Pair) -> list[Trigger]:
    """Return the table's own triggers, its partitions' too.

    Raises:
        NotPossible: The role may not disable them.
    """
    assert pair.live is not None
    rows = live.execute(_TRIGGERS, {"oid": pair.live.oid}).fetchall()
    found = [Trigger(*row) for row in rows]
    if foreign := sorted({t.name for t in found if not t.ours}):
        raise NotPossible(
            msg(
                "{table} has triggers that would run again, and this role does not own the table: {triggers}",
                table=pair.label,
                triggers=", ".join(foreign),
            ),
            state=msg("Nothing was changed."),
            next_command="backout doctor  # and let database.url name the owner of the table",
        )
    return found


def switch_triggers(live: psycopg.Connection[Any], triggers: list[Trigger], *, on: bool) -> None:
    """Disable these triggers, or put each back as it was."""
    from psycopg import sql

    for trigger in triggers:
        how = "DISABLE" if not on else "ENABLE ALWAYS" if trigger.state == "A" else "ENABLE"
        live.execute(
            sql.SQL("ALTER TABLE ONLY {} {} TRIGGER {}").format(
                sql.Identifier(trigger.schema, trigger.table), sql.SQL(how), sql.Identifier(trigger.name)
            )
        )

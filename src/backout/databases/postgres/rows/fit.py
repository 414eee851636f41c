"""Which tables can go back alone, and why others cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.rows.guards import rules_of
from backout.databases.postgres.rows.order import parents_first
from backout.databases.postgres.rows.tables import Pair, named, pair_up, read_tables
from backout.errors import NotPossible, UsageError
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg

    from backout.databases.postgres.connect import Connector

_LOOK_S = 10.0

# What these do to other tables is no part of what was asked for.
_REACH_OTHERS = """
SELECT c.conname::text, format('%%s.%%s', n.nspname, r.relname)
FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
WHERE c.contype = 'f' AND c.conparentid = 0 AND c.confrelid = ANY(%(oids)s::oid[])
  AND NOT c.conrelid = ANY(%(oids)s::oid[])
  AND (c.confdeltype IN ('c', 'n', 'd') OR c.confupdtype IN ('c', 'n', 'd'))
ORDER BY 2, 1"""

_FOREIGN_TRIGGERS = """
SELECT t.tgname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND NOT pg_has_role(c.relowner, 'USAGE')
  AND (c.oid = %(oid)s OR c.oid IN (SELECT relid FROM pg_partition_tree(%(oid)s::oid::regclass)))
ORDER BY 1"""


def unfit_tables(
    connector: Connector, tables: tuple[str, ...], schemas: tuple[str, ...] | None
) -> tuple[Message, ...]:
    """Return why tables of the live database cannot go back alone, before anything is restored."""
    with connector.session(_LOOK_S) as live:
        live.read_only = True
        pairs = pair_up({}, read_tables(live, schemas))
        found, reasons = [], []
        for table in tables:
            try:
                found.append(named(pairs, table))
            except UsageError as error:
                reasons.append(error.what)
        return (*reasons, *_reasons(live, found, one_sided=True))


def fit(
    kept: psycopg.Connection[Any],
    live: psycopg.Connection[Any],
    tables: tuple[str, ...],
    schemas: tuple[str, ...] | None,
) -> list[Pair]:
    """Return these tables, parents first.

    Raises:
        NotPossible: They cannot be made equal; every reason is named.
        UsageError: There is no such table.
    """
    pairs = pair_up(read_tables(kept, schemas), read_tables(live, schemas))
    found = [named(pairs, table) for table in dict.fromkeys(tables)]
    reasons = list(_reasons(live, found, one_sided=False))
    if reasons:
        raise NotPossible(
            msg("These tables cannot go back alone: {reasons}", reasons="; ".join(str(r) for r in reasons)),
            state=msg("Nothing was changed."),
            next_command="backout plan --scenario data   # the whole database, or other --tables",
        )
    return parents_first(live, found)


def _reasons(live: psycopg.Connection[Any], pairs: Iterable[Pair], *, one_sided: bool) -> Iterator[Message]:
    oids = []
    for pair in pairs:
        kinds = {shape.kind for shape in (pair.kept, pair.live) if shape is not None}
        if pair.live is None or (pair.kept is None and not one_sided):
            where = "the live database" if pair.live is None else "the backup"
            yield msg("{table} is not in {where}", table=pair.label, where=where)
        elif "f" in kinds:
            yield msg("{table} is a foreign table: its rows are on another server", table=pair.label)
        elif not pair.key:
            yield msg("{table} has no key: which of its rows are the same cannot be told", table=pair.label)
        else:
            oids.append(pair.live.oid)
            yield from _written_otherwise(live, pair.label, pair.live.oid)
    for constraint, other in live.execute(_REACH_OTHERS, {"oids": oids}).fetchall():
        yield msg(
            "{other} would be changed too, by its constraint {constraint}: name it with the others",
            other=other,
            constraint=constraint,
        )


def _written_otherwise(live: psycopg.Connection[Any], label: str, oid: int) -> Iterator[Message]:
    rules = rules_of(live, oid, deletes=True)
    if rules:
        yield msg(
            "{table} has rules that change what is written: {rules}", table=label, rules=", ".join(rules)
        )
    triggers = [str(row[0]) for row in live.execute(_FOREIGN_TRIGGERS, {"oid": oid}).fetchall()]
    if triggers:
        yield msg(
            "{table} has triggers, and this role does not own the table: {triggers}",
            table=label,
            triggers=", ".join(triggers),
        )

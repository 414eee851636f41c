"""Which tables change when some are changed: by foreign keys, partitions, inheritance, views, rules and triggers."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, SCHEMA, literal


@dataclass(frozen=True, slots=True)
class Table:
    """A table with rows of its own that may change.

    Attributes:
        oid: Its identity.
        kind: `r`, or `f` (foreign).
        called: Schema and name, for people.
        schema: Its schema.
        name: Its name.
        owned: The session's role may make triggers on it.
        attnums: Its columns.
        last: The highest number that a column of it ever had.
        key: Columns of its primary key, or else of a unique index without NULLs.
        trigger: It has a trigger of the name that was asked about.
    """

    oid: int
    kind: str
    called: str
    schema: str
    name: str
    owned: bool
    attnums: list[int]
    last: int
    key: list[int] | None
    trigger: bool


_WORD = "'\\m' || regexp_replace(lower(c.relname), '([^[:alnum:]_])', '\\\\\\1', 'g') || '\\M'"

# A recursive query may name itself once only: all ways from one relation to another stand in one table first.
_EDGES = f"""
named AS (SELECT c.oid, {_WORD} AS word FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'f', 'v') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', '{SCHEMA}', '{HIDDEN_SCHEMA}')),
edges AS (
  SELECT confrelid AS a, conrelid AS b FROM pg_catalog.pg_constraint WHERE contype = 'f'
    AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))
  UNION SELECT inhparent, inhrelid FROM pg_catalog.pg_inherits
  UNION SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
    WHERE p.relkind = 'p'
  UNION SELECT w.ev_class, d.refobjid FROM pg_catalog.pg_rewrite w JOIN pg_catalog.pg_depend d
    ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
    WHERE d.refobjid <> w.ev_class
  UNION SELECT t.tgrelid, x.oid FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
    JOIN named x ON lower(p.prosrc) ~ x.word WHERE NOT t.tgisinternal AND p.pronamespace <> '{SCHEMA}'::regnamespace)"""


def closure(link: Link, tables: Sequence[int], *, trigger: str, migration: int) -> list[Table]:
    """Return the tables with rows of their own that change when these are changed, as far as the catalog tells.

    Temporary tables and the engine's own are left out.

    Args:
        link: Session.
        tables: Oids of tables, partitioned tables or views.
        trigger: Name of a trigger.
        migration: Whose trigger it is.
    """
    if not tables:
        return []
    query = f"""WITH RECURSIVE {_EDGES.lstrip()},
    f(rel) AS (SELECT unnest($1::oid[]) UNION SELECT e.b FROM edges e JOIN f ON e.a = f.rel)
    SELECT c.oid::int8 AS oid, c.relkind AS kind, n.nspname || '.' || c.relname AS called, n.nspname AS schema,
      c.relname AS name, pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned, c.relnatts AS last,
      (SELECT pg_catalog.array_agg(attnum ORDER BY attnum) FROM pg_catalog.pg_attribute
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS attnums, {KEY.format("c.oid")} AS key,
      EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = $2
        AND t.tgenabled <> 'D') AS trigger
    FROM f JOIN pg_catalog.pg_class c ON c.oid = f.rel JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'f') AND c.relpersistence <> 't' AND n.nspname NOT IN ('{SCHEMA}', '{HIDDEN_SCHEMA}')
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY c.oid"""
    found = objects(link, query, [f"{{{','.join(map(str, tables))}}}", trigger], again=True)
    return [Table(**{**one, "attnums": one["attnums"] or []}) for one in found]


KEY = """(SELECT k.indkey::int2[] FROM pg_catalog.pg_index k WHERE k.indrelid = {0} AND k.indisunique AND k.indisvalid
        AND k.indimmediate AND k.indpred IS NULL AND k.indexprs IS NULL AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.indrelid AND a.attnum = ANY (k.indkey) AND NOT a.attnotnull)
        ORDER BY k.indisprimary DESC, k.indnkeyatts, k.indexrelid LIMIT 1)"""
"""Columns that tell a row of a table: of its primary key, or of a unique index over columns without NULLs.

Columns that an index only includes are among them: they do no harm in telling rows apart.
"""


def mentioned(link: Link, text: str) -> list[int]:
    """Return oids of the tables that a text names, or a function that it names: of a DO block, a CALL, a SELECT.

    By words alone: more than it changes, and not what it puts together as it runs.
    """
    query = f"""WITH RECURSIVE {_EDGES.split("edges AS")[0].strip().rstrip(",")},
    said(text) AS (SELECT lower({literal(text)}::text) COLLATE "C" UNION SELECT lower(p.prosrc) COLLATE "C" FROM said s JOIN pg_catalog.pg_proc p
      ON s.text ~ ('\\m' || regexp_replace(lower(p.proname), '([^[:alnum:]_])', '\\\\\\1', 'g') || '\\M')
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '{SCHEMA}'))
    SELECT DISTINCT x.oid::int8 AS oid FROM said JOIN named x ON said.text ~ x.word ORDER BY 1"""
    return [int(one["oid"]) for one in objects(link, query)]


OF_USERS = (
    "p.pronamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_' "
    f"OR nspname IN ('information_schema', '{SCHEMA}', '{HIDDEN_SCHEMA}'))"
)
"""That a function `p` is neither PostgreSQL's nor the engine's."""


def sources(link: Link, names: Collection[str]) -> list[str]:
    """Return the bodies of the functions of some names, and of those that they may call, as far as their texts tell."""
    if not names:
        return []
    found = objects(
        link,
        "WITH RECURSIVE said(oid, text) AS (SELECT p.oid, p.prosrc FROM pg_catalog.pg_proc p WHERE "
        # By the index: PostgreSQL would take the query for a dear one else, and compile it, each time for 50 ms.
        f"{OF_USERS} AND p.proname = ANY (ARRAY(SELECT pg_catalog.json_array_elements_text($1::json)::pg_catalog.name)) "
        "UNION SELECT p.oid, p.prosrc FROM said s JOIN pg_catalog.pg_proc p "
        f"ON {OF_USERS} AND pg_catalog.strpos(pg_catalog.lower(s.text), pg_catalog.lower(p.proname)) > 0) SELECT text FROM said",
        [json.dumps(sorted(names))],
        again=True,
    )
    return [str(one["text"]) for one in found]

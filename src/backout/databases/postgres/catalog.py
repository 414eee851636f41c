"""Reads a database's schema: one snapshot, one query for each kind of thing, text made by PostgreSQL itself.

Not looked at, since an application cannot notice it or it is not of the schema: the order of columns,
dropped columns, statistics and storage options, comments, owners and privileges, values of sequences,
objects that belong to an extension, temporary and TOAST objects, and what backout has hidden (schemas `backout_*`, names
that begin with `_bo_`).

Source: PostgreSQL 15 and 18 documentation, chapter "System Catalogs"; "System Information Functions" for
`pg_get_*`. The text that these print may change between major versions of the server, and the
fingerprint with it. They also look up names and bodies as last committed, not as of the snapshot: while
somebody runs DDL a text may be newer than the rest (pg_dump has the same limit).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backout.schema import Column, Schema, Table

if TYPE_CHECKING:
    import psycopg

OWN_SCHEMA = "backout"

# `looked` holds the schemas looked at; `not_owned` leaves out what belongs to an extension.
LOOKED = """
  looked AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE CASE WHEN %(schemas)s::text[] IS NULL
               THEN nspname !~ '^(pg|backout)_' AND nspname NOT IN ('information_schema', %(own)s)
               ELSE nspname = ANY(%(schemas)s::text[]) END)
"""
_NOT_OWNED = """NOT EXISTS (SELECT 1 FROM pg_depend d
    WHERE d.classid = '{catalog}'::regclass AND d.objid = {oid} AND d.deptype = 'e')"""
_RELATIONS = f"""
  rels AS (
    SELECT c.*, format('%%s.%%s', n.nspname, c.relname) AS name
    FROM pg_class c JOIN looked n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
      AND {_NOT_OWNED.format(catalog="pg_class", oid="c.oid")})
"""

_TABLES = """
SELECT name,
       CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned' WHEN 'v' THEN 'view'
                    WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END,
       CASE WHEN relkind IN ('v', 'm')
            THEN concat('WITH (' || array_to_string(reloptions, ', ') || ') ', pg_get_viewdef(oid))
            WHEN relkind = 'p'
            THEN concat_ws(' ', pg_get_expr(relpartbound, oid), 'PARTITION BY ' || pg_get_partkeydef(oid))
            WHEN relispartition THEN pg_get_expr(relpartbound, oid) END,
       nullif(concat_ws(' ', CASE WHEN relrowsecurity THEN 'ENABLE' END,
                        CASE WHEN relforcerowsecurity THEN 'FORCE' END), '')
FROM rels"""

_COLUMNS = """
SELECT r.name, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
       CASE a.attgenerated WHEN 's' THEN pg_get_expr(d.adbin, d.adrelid) || ' STORED'
                           WHEN 'v' THEN pg_get_expr(d.adbin, d.adrelid) || ' VIRTUAL' END,
       CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END,
       CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0
            THEN a.attcollation::regcollation::text END
FROM rels r
JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname !~ '^_bo_'
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"""

# NOT NULL is a column's own property (PostgreSQL 18 also lists it as a constraint); constraint triggers
# are listed as triggers.
_CONSTRAINTS = """
SELECT r.name, c.conname, pg_get_constraintdef(c.oid)
FROM rels r JOIN pg_constraint c ON c.conrelid = r.oid AND c.contype NOT IN ('n', 't')
  AND c.conname !~ '^_bo_'"""

_INDEXES = """
SELECT r.name, i.relname, pg_get_indexdef(x.indexrelid) || CASE WHEN x.indisvalid THEN '' ELSE ' INVALID' END
FROM rels r JOIN pg_index x ON x.indrelid = r.oid JOIN pg_class i ON i.oid = x.indexrelid
WHERE i.relname !~ '^_bo_' AND NOT EXISTS (SELECT 1 FROM pg_constraint c
                  WHERE c.conindid = x.indexrelid AND c.contype IN ('p', 'u', 'x'))"""

_TRIGGERS = """
SELECT r.name, t.tgname, pg_get_triggerdef(t.oid)
       || CASE t.tgenabled WHEN 'O' THEN '' WHEN 'D' THEN ' DISABLED'
                             WHEN 'R' THEN ' ON REPLICA' ELSE ' ALWAYS' END
FROM rels r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal AND t.tgname !~ '^~?_bo_'
UNION ALL
SELECT r.name, 'rule ' || w.rulename, pg_get_ruledef(w.oid)
       || CASE w.ev_enabled WHEN 'O' THEN '' WHEN 'D' THEN ' DISABLED'
                              WHEN 'R' THEN ' ON REPLICA' ELSE ' ALWAYS' END
FROM rels r JOIN pg_rewrite w ON w.ev_class = r.oid AND w.rulename <> '_RETURN'"""

_POLICIES = """
SELECT r.name, p.polname, concat_ws(' ',
       CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
       CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                     WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
       'TO', (SELECT string_agg(CASE WHEN m = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(m)::text END, ', '
                                ORDER BY pg_get_userbyid(m))
              FROM unnest(p.polroles) m),
       'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
       'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
FROM rels r JOIN pg_policy p ON p.polrelid = r.oid"""

_TYPES = f"""
SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'type' END
         || format(' %%s.%%s', n.nspname, t.typname),
       CASE t.typtype
       WHEN 'e' THEN (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                      FROM pg_enum e WHERE e.enumtypid = t.oid)
       WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
         CASE WHEN t.typnotnull THEN 'NOT NULL' END,
         'DEFAULT ' || t.typdefault,
         (SELECT string_agg(format('CONSTRAINT %%s %%s', k.conname, pg_get_constraintdef(k.oid)), ' '
                            ORDER BY k.conname)
          FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype <> 'n'))
       WHEN 'r' THEN (SELECT format_type(g.rngsubtype, NULL) FROM pg_range g WHERE g.rngtypid = t.oid)
       ELSE (SELECT string_agg(format('%%s %%s', a.attname, format_type(a.atttypid, a.atttypmod)), ', '
                                ORDER BY a.attnum)
             FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) END
FROM pg_type t JOIN looked n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c')
  AND {_NOT_OWNED.format(catalog="pg_type", oid="t.oid")}"""

_FUNCTIONS = f"""
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END
         || format(' %%s.%%s(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
       'sha256:' || encode(sha256(convert_to(
         CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid)
         ELSE concat_ws(' ', format_type(p.prorettype, NULL), a.aggkind, a.aggtransfn,
                        nullif(a.aggfinalfn, 0), nullif(a.aggcombinefn, 0),
                        format_type(a.aggtranstype, NULL), a.agginitval,
                        nullif(a.aggsortop, 0)::regoperator) END, 'UTF8')), 'hex')
FROM pg_proc p JOIN looked n ON n.oid = p.pronamespace LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
WHERE {_NOT_OWNED.format(catalog="pg_proc", oid="p.oid")}"""

_SEQUENCES = f"""
SELECT format('sequence %%s.%%s', n.nspname, c.relname),
       concat_ws(' ', format_type(s.seqtypid, NULL), 'START', s.seqstart, 'INCREMENT', s.seqincrement,
                 'MIN', s.seqmin, 'MAX', s.seqmax,
                 'CACHE', s.seqcache, CASE WHEN s.seqcycle THEN 'CYCLE' END)
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid AND c.relpersistence <> 't' AND c.relname !~ '^_bo_'
  JOIN looked n ON n.oid = c.relnamespace
WHERE {_NOT_OWNED.format(catalog="pg_class", oid="c.oid")}"""

_REST = f"""
SELECT 'extension ' || e.extname, e.extversion FROM pg_extension e
UNION ALL
SELECT 'event trigger ' || t.evtname,
       concat_ws(' ', t.evtevent, t.evtfoid::regprocedure, t.evttags::text, 'enabled', t.evtenabled)
FROM pg_event_trigger t WHERE {_NOT_OWNED.format(catalog="pg_event_trigger", oid="t.oid")}"""


def read_schema(connection: psycopg.Connection[Any], schemas: tuple[str, ...] | None) -> Schema:
    """Read a schema in one read-only snapshot.

    Args:
        connection: Not in autocommit, with no transaction open; it is left so.
        schemas: Names to look at; None: all but the system's and backout's own.

    Returns:
        The schema; equal text for equal definitions, whatever `search_path` the role has.
    """
    import psycopg

    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    with connection.transaction():
        return schema_in_snapshot(connection, schemas)


def schema_in_snapshot(connection: psycopg.Connection[Any], schemas: tuple[str, ...] | None) -> Schema:
    """Read a schema within the transaction that is open, whose `search_path` is the system's from then on."""
    # Names that are not the system's own are then always printed with their schema.
    connection.execute("SET LOCAL search_path = pg_catalog")
    connection.execute("SET LOCAL jit = off")
    reader = _Reader(connection, {"schemas": list(schemas) if schemas else None, "own": OWN_SCHEMA})
    return Schema(tables=_tables(reader), objects=dict(sorted(_objects(reader))))


class _Reader:
    def __init__(self, connection: psycopg.Connection[Any], params: dict[str, Any]) -> None:
        self._connection, self._params = connection, params

    def rows(self, query: str, head: str = f"WITH {LOOKED}") -> list[tuple[Any, ...]]:
        return self._connection.execute(head + query, self._params).fetchall()

    def of_tables(self, query: str) -> list[tuple[Any, ...]]:
        return self.rows(query, f"WITH {LOOKED}, {_RELATIONS}")

    def named(self, query: str) -> dict[str, dict[str, str]]:
        """Return rows of (table, name, definition) as a table's dictionary."""
        found: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for table, name, definition in self.of_tables(query):
            found[table][name] = definition
        return found


def _tables(reader: _Reader) -> dict[str, Table]:
    columns: defaultdict[str, dict[str, Column]] = defaultdict(dict)
    for table, name, kind, nullable, default, generated, identity, collation in reader.of_tables(_COLUMNS):
        columns[table][name] = Column(
            type=kind,
            nullable=nullable,
            default=default,
            generated=generated,
            identity=identity,
            collation=collation,
        )
    constraints, indexes = reader.named(_CONSTRAINTS), reader.named(_INDEXES)
    triggers, policies = reader.named(_TRIGGERS), reader.named(_POLICIES)
    tables: dict[str, Table] = {}
    for name, kind, definition, switches in sorted(reader.of_tables(_TABLES)):
        tables[name] = Table(
            kind=kind,
            columns=columns.get(name, {}),
            constraints=constraints.get(name, {}),
            indexes=indexes.get(name, {}),
            triggers=triggers.get(name, {}),
            policies=policies.get(name, {}) | ({"": switches} if switches else {}),
            definition=definition,
        )
    return tables


def _objects(reader: _Reader) -> Iterator[tuple[str, str]]:
    for query in (_TYPES, _FUNCTIONS, _SEQUENCES, _REST):
        for name, definition in reader.rows(query):
            yield name, definition or ""

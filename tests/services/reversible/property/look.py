"""A database as anybody sees it, read by queries of its own: what statements are drawn from, and results compared by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

_OURS = "(n.nspname !~ '^(pg_|backout)' AND n.nspname <> 'information_schema')"
_SEEN = r"!~ '^~?_bo_'"

_QUERY = rf"""
SELECT pg_catalog.json_build_object(
 'schemas', (SELECT coalesce(json_agg(n.nspname ORDER BY n.nspname), '[]') FROM pg_namespace n WHERE {_OURS}),
 'tables', (SELECT coalesce(json_agg(json_build_object('oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname,
     'row_security', c.relrowsecurity, 'columns',
     (SELECT coalesce(json_agg(json_build_object('number', a.attnum, 'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'type_oid', a.atttypid::int8,
        'base', coalesce(nullif(y.typbasetype, 0), y.oid)::regtype::text, 'class', y.typtype,
        'labels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = y.oid),
        'not_null', a.attnotnull OR y.typnotnull, 'generated', a.attgenerated <> '', 'identity', a.attidentity,
        'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
        'expression', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END) ORDER BY a.attnum), '[]')
      FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname {_SEEN})) ORDER BY n.nspname, c.relname), '[]')
   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND {_OURS}),
 'views', (SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname) ORDER BY n.nspname, c.relname), '[]')
   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v' AND {_OURS}),
 'sequences', (SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname, 'owned',
     EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0))
     ORDER BY n.nspname, c.relname), '[]')
   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' AND {_OURS}),
 'constraints', (SELECT coalesce(json_agg(json_build_object('table', k.conrelid::int8, 'name', k.conname, 'kind', k.contype, 'columns', k.conkey,
     'to_table', k.confrelid::int8, 'to_columns', k.confkey, 'valid', k.convalidated, 'deferrable', k.condeferrable) ORDER BY n.nspname, c.relname, k.conname), '[]')
   FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE {_OURS} AND k.contype IN ('p', 'u', 'c', 'f') AND k.conname {_SEEN}),
 'indexes', (SELECT coalesce(json_agg(json_build_object('table', i.indrelid::int8, 'schema', n.nspname, 'name', c.relname, 'unique', i.indisunique,
     'columns', i.indkey::int2[], 'constraint', EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x')))
     ORDER BY n.nspname, c.relname), '[]')
   FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS} AND c.relname {_SEEN}),
 'functions', (SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', p.proname, 'arguments', pg_get_function_identity_arguments(p.oid),
     'trigger', p.prorettype = 'trigger'::regtype) ORDER BY n.nspname, p.proname, p.oid), '[]')
   FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_OURS}),
 'triggers', (SELECT coalesce(json_agg(json_build_object('table', t.tgrelid::int8, 'name', t.tgname) ORDER BY t.tgrelid, t.tgname), '[]')
   FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE {_OURS} AND NOT t.tgisinternal AND c.relkind = 'r' AND t.tgname {_SEEN}),
 'policies', (SELECT coalesce(json_agg(json_build_object('table', p.polrelid::int8, 'name', p.polname) ORDER BY p.polrelid, p.polname), '[]')
   FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS}),
 'types', (SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', t.typname, 'class', t.typtype,
     'labels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)) ORDER BY n.nspname, t.typname), '[]')
   FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
   WHERE {_OURS} AND t.typtype IN ('e', 'd', 'c') AND (c.oid IS NULL OR c.relkind = 'c'))
)"""


@dataclass(frozen=True)
class Column:
    number: int
    name: str
    type: str
    base: str
    kind: str
    labels: tuple[str, ...]
    not_null: bool
    generated: bool
    identity: str
    default: str | None
    expression: str | None
    type_oid: int

    @property
    def numbers_itself(self) -> bool:
        return bool(self.identity) or "nextval" in (self.default or "")

    @property
    def sql(self) -> str:
        return quoted(self.name)


@dataclass(frozen=True)
class Table:
    oid: int
    schema: str
    name: str
    row_security: bool
    columns: tuple[Column, ...]

    @property
    def path(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def row(self) -> Column | None:
        """The column by which rows are told apart: the first one, whatever it is called by now."""
        return next((one for one in self.columns if one.number == 1), None)

    def others(self) -> list[Column]:
        return [one for one in self.columns if one.number != 1]

    def column(self, number: int) -> Column | None:
        return next((one for one in self.columns if one.number == number), None)


@dataclass(frozen=True)
class Look:
    """What there is, but for what the engine hides."""

    schemas: list[str]
    tables: list[Table]
    views: list[dict[str, Any]]
    sequences: list[dict[str, Any]]
    constraints: list[dict[str, Any]]
    indexes: list[dict[str, Any]]
    functions: list[dict[str, Any]]
    triggers: list[dict[str, Any]]
    policies: list[dict[str, Any]]
    types: list[dict[str, Any]]

    def table(self, oid: int) -> Table | None:
        return next((one for one in self.tables if one.oid == oid), None)

    def keys(self, table: Table, kinds: str) -> list[dict[str, Any]]:
        return [one for one in self.constraints if one["table"] == table.oid and one["kind"] in kinds]

    def unique_columns(self, table: Table) -> set[int]:
        found = {n for one in self.keys(table, "pu") for n in one["columns"]}
        return found | {
            n for one in self.indexes if one["table"] == table.oid and one["unique"] for n in one["columns"]
        }


def look(connection: psycopg.Connection[Any]) -> Look:
    """Return what there is; in the session's transaction, if one is open."""
    row = connection.execute(_QUERY.encode()).fetchone()
    assert row is not None
    told = row[0]
    tables = [
        Table(
            one["oid"],
            one["schema"],
            one["name"],
            one["row_security"],
            tuple(
                Column(
                    c["number"], c["name"], c["type"], c["base"], c["class"], tuple(c["labels"] or ()), c["not_null"],
                    c["generated"], c["identity"], c["default"], c["expression"], c["type_oid"],
                )
                for c in one["columns"]
            ),
        )
        for one in told.pop("tables")
    ]  # fmt: skip
    return Look(tables=tables, **told)


def quoted(*names: str) -> str:
    return ".".join('"' + one.replace('"', '""') + '"' for one in names)


def text(value: str) -> str:
    """Return an SQL literal."""
    return ("E" if "\\" in value else "") + "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"

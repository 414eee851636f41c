"""What can be compared: the tables of both databases, the columns and the key that both of them have."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.catalog import LOOKED, OWN_SCHEMA
from backout.errors import UsageError
from backout.message import msg

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

# A partition is part of its parent, unless nobody looks at the parent. What belongs to an extension does not
# belong to the service, but for the tables whose rows the extension itself has dumped.
_TABLES = f"""
WITH {LOOKED}
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text
FROM pg_class c JOIN looked n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
  AND NOT (c.relispartition AND EXISTS (
    SELECT 1 FROM pg_class r JOIN looked l ON l.oid = r.relnamespace WHERE r.oid = pg_partition_root(c.oid)))
  AND NOT EXISTS (
    SELECT 1 FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
      AND d.refclassid = 'pg_extension'::regclass AND NOT c.oid = ANY(coalesce(e.extconfig, '{{}}')))
ORDER BY 2, 3"""

# With -1 the type is one that can be cast to without cutting: `bpchar`, where NULL would say `character`.
_COLUMNS = """
SELECT attrelid::bigint, attname::text, format_type(atttypid, -1), attgenerated <> '', attidentity = 'a',
  coalesce((SELECT n.nspname::text FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
            WHERE o.oprname = '=' AND o.oprleft = b.base AND o.oprright = b.base
            ORDER BY o.oprcanmerge DESC, o.oid LIMIT 1), 'pg_catalog')
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid,
  LATERAL (SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END AS base) b
WHERE attrelid = ANY(%s::oid[]) AND attnum > 0 AND NOT attisdropped
ORDER BY attrelid, attnum"""

_KEYS = """
SELECT indrelid::bigint, names FROM pg_index x, LATERAL (
  SELECT array_agg(a.attname::text ORDER BY k.n) AS names, bool_and(a.attnotnull) AS filled
  FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(attnum, n)
  JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
  WHERE k.n <= x.indnkeyatts) c
WHERE indrelid = ANY(%s::oid[]) AND indisunique AND indisvalid AND indpred IS NULL AND indexprs IS NULL
  AND filled
ORDER BY indisprimary DESC, indisreplident DESC, indnkeyatts, indexrelid"""


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """One column; `type` can be cast to, `equals` is the schema of the type's `=`."""

    type: str
    generated: bool
    always_identity: bool
    equals: str


@dataclass(frozen=True, slots=True)
class TableShape:
    """One table as one database has it; `keys` are sets of columns that identify a row, the best one first."""

    oid: int
    schema: str
    name: str
    kind: str
    columns: dict[str, ColumnShape]
    keys: tuple[tuple[str, ...], ...]

    @property
    def source(self) -> sql.Composed:
        """Return what follows FROM: without the children that inherit, with the partitions."""
        from psycopg import sql

        only = sql.SQL("" if self.kind == "p" else "ONLY ")
        return only + sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Pair:
    """A table in both databases, or in one of them.

    Attributes:
        columns: What is compared, by name: in both, and not generated in both.
        digested: Of these, the bytea columns of both: they go into the row's digest as digests.
        key: Columns that identify a row on both sides; empty: equal rows are counted.
    """

    label: str
    kept: TableShape | None
    live: TableShape | None
    columns: tuple[str, ...]
    digested: frozenset[str]
    key: tuple[str, ...]

    @property
    def only_kept_columns(self) -> tuple[str, ...]:
        """Columns that only the kept one has, where both have the table."""
        return _only(self.kept, self.live)

    @property
    def only_live_columns(self) -> tuple[str, ...]:
        """Columns that only the live one has, where both have the table."""
        return _only(self.live, self.kept)


def read_tables(
    connection: psycopg.Connection[Any], schemas: tuple[str, ...] | None
) -> dict[tuple[str, str], TableShape]:
    """Return the tables of one database by schema and name, foreign ones among them."""
    looked = {"schemas": list(schemas) if schemas else None, "own": OWN_SCHEMA}
    found = connection.execute(_TABLES, looked).fetchall()
    oids = [row[0] for row in found]
    columns: defaultdict[int, dict[str, ColumnShape]] = defaultdict(dict)
    for oid, name, *rest in connection.execute(_COLUMNS, (oids,)).fetchall():
        columns[oid][name] = ColumnShape(*rest)
    keys: defaultdict[int, list[tuple[str, ...]]] = defaultdict(list)
    for oid, names in connection.execute(_KEYS, (oids,)).fetchall():
        keys[oid].append(tuple(names))
    return {
        (schema, name): TableShape(oid, schema, name, kind, columns[oid], tuple(keys[oid]))
        for oid, schema, name, kind in found
    }


def pair_up(
    kept: dict[tuple[str, str], TableShape], live: dict[tuple[str, str], TableShape]
) -> dict[str, Pair]:
    """Return every table of both by its label ``schema.table``; quoted where two tables would share one."""
    names = sorted({*kept, *live})
    plain = [f"{schema}.{name}" for schema, name in names]
    pairs = {}
    for (schema, name), label in zip(names, plain, strict=True):
        if plain.count(label) > 1:
            label = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name))
        pairs[label] = _pair(label, kept.get((schema, name)), live.get((schema, name)))
    return pairs


def named(pairs: dict[str, Pair], table: str) -> Pair:
    """Return the table that a person named, with its schema or, where only one has that name, without.

    Raises:
        UsageError: There is none, or there are several.
    """
    if table in pairs:
        return pairs[table]
    found = [p for p in pairs.values() if table in {s.name for s in (p.kept, p.live) if s is not None}]
    if len(found) == 1:
        return found[0]
    near = [p.label for p in found] or get_close_matches(table, pairs, 3) or list(pairs)[:5]
    raise UsageError(
        msg(
            "There is no table {table}. Near: {near}",
            table=table or "without a name",
            near=", ".join(near) or "no table at all",
        ),
        state=msg("Nothing was changed."),
        next_command="backout data diff",
    )


def _pair(label: str, kept: TableShape | None, live: TableShape | None) -> Pair:
    if kept is None or live is None:
        one = kept or live
        assert one is not None
        columns = {n for n, c in one.columns.items() if not c.generated}
        digested = {n for n in columns if one.columns[n].type == "bytea"}
        return Pair(label, kept, live, tuple(sorted(columns)), frozenset(digested), next(iter(one.keys), ()))
    both = {n: (c, live.columns[n]) for n, c in kept.columns.items() if n in live.columns}
    columns = {n for n, (a, b) in both.items() if not (a.generated and b.generated)}
    digested = {n for n in columns if both[n][0].type == both[n][1].type == "bytea"}
    elsewhere = {frozenset(key) for key in live.keys}
    key = next((k for k in kept.keys if frozenset(k) in elsewhere), ())
    return Pair(label, kept, live, tuple(sorted(columns)), frozenset(digested), key)


def _only(one: TableShape | None, other: TableShape | None) -> tuple[str, ...]:
    if one is None or other is None:
        return ()
    return tuple(name for name in one.columns if name not in other.columns)

"""The tables of a database as whoever writes rows has to know them: columns, types, keys and what must hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from backout.databases.postgres.reversible.names import ident, is_hidden

if TYPE_CHECKING:
    import psycopg

_LITERAL = re.compile(r"'((?:[^']|'')*)'|(?<![\w.'])(-?\d+(?:\.\d+)?)(?![\w.'])")
_ARRAY_IN = re.compile(r"^\{(.*)\}$")

# What belongs to an extension, is temporary, or is a partition (rows reach it by its parent) is nobody's to write.
_TABLES = """
SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name,
       (SELECT coalesce(json_agg(pg_get_expr(p.relpartbound, p.oid)), '[]')
          FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
         WHERE i.inhparent = c.oid AND p.relispartition) AS bounds,
       c.relkind = 'p' AS partitioned,
       (SELECT json_agg(a.attname) FROM pg_partitioned_table k JOIN pg_attribute a ON a.attrelid = c.oid
          AND a.attnum = ANY (k.partattrs::int2[]) WHERE k.partrelid = c.oid) AS parted_by
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND NOT c.relispartition
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname"""

_COLUMNS = """
SELECT a.attrelid::int8 AS table, a.attnum::int AS number, a.attname AS name, a.attnotnull AS not_null,
       a.atttypid::int8 AS type, a.atttypmod AS modifier, format_type(a.atttypid, a.atttypmod) AS type_text,
       a.attgenerated <> '' AS generated, a.attidentity AS identity, pg_get_expr(d.adbin, d.adrelid) AS default
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ANY (%(tables)s)
ORDER BY a.attrelid, a.attnum"""

# A domain is told with what it is based on and what it demands.
_TYPES = """
SELECT t.oid::int8 AS oid, t.typname AS name, t.typtype::text AS kind, t.typelem::int8 AS element,
       t.typcategory = 'A' AND t.typelem <> 0 AND t.typlen = -1 AS is_array,
       t.typbasetype::int8 AS base, t.typtypmod AS modifier, format_type(t.oid, NULL) AS text, t.typnotnull AS not_null,
       (SELECT coalesce(json_agg(e.enumlabel ORDER BY e.enumsortorder), '[]') FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels,
       (SELECT coalesce(json_agg(e.oid::int8 ORDER BY e.enumsortorder), '[]') FROM pg_enum e WHERE e.enumtypid = t.oid) AS label_oids,
       (SELECT coalesce(json_agg(pg_get_constraintdef(k.oid)), '[]') FROM pg_constraint k WHERE k.contypid = t.oid) AS checks,
       (SELECT coalesce(json_agg(json_build_array(a.attname, a.atttypid::int8, a.atttypmod) ORDER BY a.attnum), '[]')
          FROM pg_attribute a WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS parts,
       (SELECT r.rngsubtype::int8 FROM pg_range r WHERE r.rngtypid = t.oid OR r.rngmultitypid = t.oid) AS bound
FROM pg_type t WHERE t.oid = ANY (%(types)s)"""

_CONSTRAINTS = """
SELECT k.conrelid::int8 AS table, k.conname AS name, k.contype::text AS kind, k.confrelid::int8 AS target,
       k.confdeltype::text AS on_delete, pg_get_constraintdef(k.oid) AS definition,
       (SELECT json_agg(a.attname ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY u (number, place)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number) AS columns,
       (SELECT json_agg(a.attname ORDER BY u.place) FROM unnest(k.confkey) WITH ORDINALITY u (number, place)
          JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number) AS targets
FROM pg_constraint k WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conrelid = ANY (%(tables)s)
ORDER BY k.conrelid, k.contype DESC, k.conname"""

# Of a key that is an index alone the server names the index when a row violates it.
_KEYS = """
SELECT i.indrelid::int8 AS table, c.relname AS name, i.indisprimary AS primary,
       i.indpred IS NULL AND i.indexprs IS NULL AS plain, pg_get_indexdef(i.indexrelid) AS definition,
       (SELECT coalesce(json_agg(a.attname ORDER BY u.place), '[]')
          FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY u (number, place)
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.number) AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indisunique AND i.indisvalid AND i.indrelid = ANY (%(tables)s)
ORDER BY i.indrelid, i.indisprimary DESC, c.relname"""


@dataclass(frozen=True, slots=True)
class Type:
    """A type of values.

    Attributes:
        name: As the catalog has it (``int4``).
        text: As it is written in a cast.
        kind: `typtype`: `b` base, `e` enum, `d` domain, `c` composite, `r` range, `m` multirange.
        element: Of an array.
        base: Of a domain, with its modifier.
        labels: Of an enum.
        label_oids: Those of its labels, in their order: they stay through renames.
        literals: What the CHECKs of a domain name.
        parts: Of a composite type: name, type and modifier.
        bound: Of a range.
    """

    oid: int
    name: str
    text: str
    kind: str
    element: int
    base: tuple[int, int]
    not_null: bool
    labels: tuple[str, ...]
    label_oids: tuple[int, ...]
    literals: tuple[str, ...]
    parts: tuple[tuple[str, int, int], ...]
    bound: int


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `number` is PostgreSQL's own, which stays through renames."""

    number: int
    name: str
    type: int
    modifier: int
    type_text: str
    not_null: bool
    default: str | None
    generated: bool
    identity: str

    @property
    def numbered(self) -> bool:
        """Whether a sequence gives its values."""
        return bool(self.identity) or (self.default or "").startswith("nextval(")


class Foreign(NamedTuple):
    """A foreign key."""

    name: str
    columns: tuple[str, ...]
    target: int
    targets: tuple[str, ...]


class Rule(NamedTuple):
    """A key, CHECK or exclusion: what a row may violate, the columns that take part, and the values that it names."""

    name: str
    columns: tuple[str, ...]
    literals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        path: Its quoted name with its schema.
        columns: Those that anybody sees, in their order.
        keys: Columns of its plain keys; the primary key is the first, if there is one.
        primary: Columns of the primary key; empty: there is none.
        foreign: Its foreign keys.
        rules: What else a row may violate, by the name that the server tells.
        literals: By column, what CHECKs, conditions of indexes and bounds of partitions name.
        partitioned: Whether its rows lie in partitions.
        preferred: By column, values to be tried first.
    """

    oid: int
    path: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...]
    primary: tuple[str, ...]
    foreign: tuple[Foreign, ...]
    rules: dict[str, Rule]
    literals: dict[str, tuple[str, ...]]
    partitioned: bool
    preferred: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def own(self) -> str:
        """Its own rows, without those of tables that inherit from it: as a statement names them."""
        return self.path if self.partitioned else f"ONLY {self.path}"


@dataclass(slots=True)
class Look:
    """All tables that somebody may write, by oid, and the types of their columns.

    Attributes:
        fits: What is known of texts: whether one is a value of a type, by both.
        referenced: The tables that foreign keys refer to.
    """

    tables: dict[int, Table]
    types: dict[int, Type]
    fits: dict[tuple[str, str], bool] = field(default_factory=dict)
    referenced: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.referenced = {one.target for table in self.tables.values() for one in table.foreign}

    def type_of(self, column: Column) -> Type:
        """Return the type of a column."""
        return self.types[column.type]


def look(connection: psycopg.Connection[Any]) -> Look:
    """Read what a database's tables are; what backout has hidden is left out."""
    tables = [
        one
        for one in _ask(connection, _TABLES)
        if not is_hidden(one["schema"]) and not is_hidden(one["name"])
    ]
    oids = [one["oid"] for one in tables]
    of = _Parts(connection, oids)
    listed = {one["oid"]: _table(one, of) for one in tables}
    return Look(listed, dict(_types(connection, {c.type for one in listed.values() for c in one.columns})))


class _Parts:
    """The parts of all tables, by table."""

    def __init__(self, connection: psycopg.Connection[Any], oids: list[int]) -> None:
        self._all = {
            name: _ask(connection, query, tables=oids)
            for name, query in (("columns", _COLUMNS), ("constraints", _CONSTRAINTS), ("keys", _KEYS))
        }

    @cached_property
    def _by_table(self) -> dict[tuple[str, int], list[dict[str, Any]]]:
        found: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for name, rows in self._all.items():
            for row in rows:
                found.setdefault((name, row["table"]), []).append(row)
        return found

    def of(self, name: str, table: int) -> list[dict[str, Any]]:
        return self._by_table.get((name, table), [])


def _table(one: dict[str, Any], of: _Parts) -> Table:
    columns = tuple(_column(c) for c in of.of("columns", one["oid"]) if not is_hidden(c["name"]))
    constraints = [k for k in of.of("constraints", one["oid"]) if not _reaches_hidden(k)]
    keys = [k for k in of.of("keys", one["oid"]) if not _reaches_hidden(k)]
    rules = {k["name"]: _rule(k) for k in constraints if k["kind"] != "f"} | {
        k["name"]: _rule(k) for k in keys
    }
    literals: dict[str, tuple[str, ...]] = {}
    named = [(rule.columns, rule.literals) for rule in rules.values()]
    bounds = tuple(text for bound in one["bounds"] for text in literals_in(str(bound)))
    if bounds:
        named.append((tuple(one["parted_by"] or ()), bounds))
    for names, texts in named:
        for name in names:
            literals[name] = tuple(dict.fromkeys((*literals.get(name, ()), *texts)))
    plain = [tuple(k["columns"]) for k in keys if k["plain"]]
    primary = next((tuple(k["columns"]) for k in keys if k["primary"]), ())
    foreign = tuple(
        Foreign(k["name"], tuple(k["columns"]), k["target"], tuple(k["targets"]))
        for k in constraints
        if k["kind"] == "f"
    )
    path = ident(one["schema"], one["name"])
    return Table(
        one["oid"], path, columns, tuple(plain), primary, foreign, rules, literals, one["partitioned"]
    )


def _reaches_hidden(one: dict[str, Any]) -> bool:
    """Tell whether a constraint or index is the engine's, or of a column that it has hidden."""
    return is_hidden(one["name"]) or any(is_hidden(name) for name in one["columns"] or ())


def _rule(one: dict[str, Any]) -> Rule:
    return Rule(one["name"], tuple(one["columns"] or ()), tuple(literals_in(one["definition"])))


def _column(one: dict[str, Any]) -> Column:
    return Column(
        one["number"],
        one["name"],
        one["type"],
        one["modifier"],
        one["type_text"],
        one["not_null"],
        one["default"],
        one["generated"],
        one["identity"],
    )


def literals_in(definition: str) -> Iterator[str]:
    """Yield the texts and numbers that a definition names, also those inside an array's literal."""
    for text, number in _LITERAL.findall(definition):
        value = number or text.replace("''", "'")
        inside = _ARRAY_IN.match(value)
        yield from (part.strip('" ') for part in inside[1].split(",")) if inside else (value,)


def _types(connection: psycopg.Connection[Any], wanted: set[int]) -> Iterator[tuple[int, Type]]:
    """Yield types, and those that they are made of."""
    known: set[int] = set()
    while wanted - known:
        asked = sorted(wanted - known)
        known |= wanted
        for one in _ask(connection, _TYPES, types=asked):
            made = Type(
                one["oid"],
                one["name"],
                one["text"],
                one["kind"],
                one["element"] if one["is_array"] else 0,
                (one["base"], one["modifier"]),
                one["not_null"],
                tuple(one["labels"]),
                tuple(one["label_oids"]),
                tuple(text for check in one["checks"] for text in literals_in(check)),
                tuple((name, oid, modifier) for name, oid, modifier in one["parts"]),
                one["bound"] or 0,
            )
            yield made.oid, made
            parts = {made.element, made.base[0], made.bound, *(oid for _, oid, _ in made.parts)}
            wanted = wanted | (parts - {0})


def _ask(connection: psycopg.Connection[Any], query: str, **values: Any) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), values or None).fetchall()

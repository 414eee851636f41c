"""The tables that logged rows belong to, as they are now: found by oid, their columns by attnum."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import SCHEMA, ident, is_hidden, literal
from backout.databases.postgres.reversible.rows.closure import KEY
from backout.databases.postgres.reversible.rows.store import EVERYTHING, LOG, SHAPE, TRUNCATED, Span

Besides = tuple[Mapping[int, Collection[int]], Mapping[int, Collection[int]], Mapping[int, Collection[int]]]
"""By table, columns that are left, unseen or quiet: `Column` tells what that is."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is now.

    Attributes:
        attnum: Its number.
        name: Its name.
        type: SQL, without length: a value too long must be an error, and is cut by a cast.
        equals: SQL operator by which the key's index compares.
        generated: It is computed, and cannot be written.
        left: The caller takes care of it: it is not written.
        unseen: Nobody but the engine writes it: no row is somebody's by it.
        quiet: It is written where it has what it had, and what stays is not told.
    """

    attnum: int
    name: str
    type: str
    equals: str
    generated: bool
    left: bool
    unseen: bool = False
    quiet: bool = False


@dataclass(slots=True)
class Target:
    """A table to write rows of.

    Attributes:
        oid: Its identity; of a partition, that of the topmost parent.
        called: Schema and name, for people.
        schema: Its schema.
        name: Its name.
        partitioned: Rows lie in its partitions.
        columns: In order.
        key: Indexes into `columns`; empty: a row is told by all of its values.
        positions: By logged table: by attnum of that table, index into `columns`.
    """

    oid: int
    called: str
    schema: str
    name: str
    partitioned: bool
    columns: list[Column]
    key: list[int]
    positions: dict[int, dict[int, int]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Quoted name."""
        return ident(self.schema, self.name)

    @property
    def rows_of(self) -> str:
        """What to write in FROM, UPDATE and DELETE for its rows, and not those of tables that inherit from it."""
        return self.path if self.partitioned else f"ONLY {self.path}"

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.columns)

    @property
    def places(self) -> str:
        """SQL: its columns as rows of `c`: place from 1 on, attnum and name."""
        told = ", ".join(f"({n}, {c.attnum}::int2, {literal(c.name)})" for n, c in enumerate(self.columns, 1))
        return f"(VALUES {told}) c(n, attnum, name)"

    def part(self, word: str) -> str:
        """Quoted name of a table of ours for the time of the work."""
        return ident(SCHEMA, f"_bo_{word}_{self.oid}")

    def image(self, alias: str) -> str:
        """SQL: the row as a record that `texts` takes apart."""
        return (
            f"ROW({', '.join(f'{alias}.{ident(c.name)}' for c in self.columns)})::text::{texts(self.width)}"
        )

    def same_key(self, alias: str, key: str) -> str:
        """SQL: a row of the table has this key (an array of text)."""
        return " AND ".join(
            f"{alias}.{ident(c.name)} {c.equals} ({key})[{n}]::{c.type}"
            for n, c in enumerate((self.columns[i] for i in self.key), 1)
        )


def texts(width: int) -> str:
    """Name of the type of a record of so many texts."""
    return ident(SCHEMA, f"_bo_text_{width}")


def relations(link: Link, migrations: Sequence[int], span: Span = EVERYTHING) -> list[int]:
    """Return oids of the tables whose rows these migrations have changed, whether they are there or not."""
    numbers = ", ".join(map(str, migrations)) or "NULL"
    found = objects(
        link,
        f"SELECT relation::int8 AS oid FROM {LOG} WHERE migration IN ({numbers}) AND {span.condition('seq')} "
        f"UNION SELECT relation::int8 FROM {TRUNCATED} WHERE migration IN ({numbers}) AND {span.condition('at')} ORDER BY 1",
    )
    return [int(one["oid"]) for one in found]


def to_lock(link: Link, migrations: Sequence[int]) -> list[int]:
    """Return oids of the tables whose exclusive locks the caller of `undo` and `redo` must hold.

    They are those that the migrations wrote, their partitioned parents, and the tables that refer to them.
    """
    logged = ", ".join(f"{oid}::oid" for oid in relations(link, migrations)) or "NULL::oid"
    found = objects(
        link,
        f"""WITH RECURSIVE t(oid) AS (SELECT unnest(ARRAY[{logged}])
          UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN t ON t.oid = i.inhrelid
            JOIN pg_catalog.pg_class p ON p.oid = i.inhparent AND p.relkind = 'p')
        SELECT c.oid::int8 AS oid FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p') AND c.oid IN (SELECT oid FROM t
          UNION SELECT k.conrelid FROM pg_catalog.pg_constraint k JOIN t ON t.oid = k.confrelid WHERE k.contype = 'f') ORDER BY 1""",
    )
    return [int(one["oid"]) for one in found]


def targets(
    link: Link,
    logged: Sequence[int],
    migrations: Sequence[int],
    besides: Besides = ({}, {}, {}),
) -> list[Target]:
    """Return the tables of logged rows as they are now, parents by foreign key first; those that are gone are left out."""
    found: dict[int, Target] = {}
    for relation in logged:
        root = objects(
            link,
            "SELECT coalesce(pg_catalog.pg_partition_root(oid)::oid, oid)::int8 AS oid FROM pg_catalog.pg_class "
            f"WHERE oid = {relation} AND relkind IN ('r', 'p')",
        )
        if not root:
            continue
        oid = int(root[0]["oid"])
        target = found.get(oid) or _target(link, oid, besides)
        found[oid] = target
        target.positions[relation] = _positions(link, relation, target)
    for target in found.values():
        _choose_key(link, target, migrations)
    return _parents_first(link, list(found.values()))


def _target(link: Link, oid: int, besides: Besides) -> Target:
    one = objects(
        link,
        f"""SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'p' AS partitioned, {KEY.format("c.oid")} AS key,
          (SELECT json_agg(json_build_object('attnum', a.attnum, 'name', a.attname, 'generated', a.attgenerated <> '',
            'type', format_type(a.atttypid, -1), 'equals', 'OPERATOR(pg_catalog.=)') ORDER BY a.attnum)
           FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = {oid}""",
    )[0]
    operators = _operators(link, oid)
    left, unseen, quiet = (some.get(oid, ()) for some in besides)
    columns = [
        Column(
            **{**c, "equals": operators.get(c["attnum"], c["equals"])},
            left=c["attnum"] in left or c["attnum"] in unseen,
            unseen=c["attnum"] in unseen,
            quiet=c["attnum"] in quiet or is_hidden(c["name"]),
        )
        for c in one["columns"] or []
    ]
    place = {c.attnum: n for n, c in enumerate(columns)}
    key = [place[attnum] for attnum in one["key"] or []]
    return Target(
        oid, f"{one['schema']}.{one['name']}", one["schema"], one["name"], one["partitioned"], columns, key
    )


def _operators(link: Link, table: int) -> dict[int, str]:
    """Return by attnum the operator by which unique indexes compare: a type may have one in any schema."""
    found = objects(
        link,
        f"""SELECT k.attnum, format('OPERATOR(%I.%s)', n.nspname, o.oprname) AS equals
        FROM pg_catalog.pg_index x CROSS JOIN LATERAL unnest(x.indkey::int2[], x.indclass::oid[]) AS k(attnum, class)
        JOIN pg_catalog.pg_opclass c ON c.oid = k.class JOIN pg_catalog.pg_amop m ON m.amopfamily = c.opcfamily
          AND m.amopstrategy = 3 AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype
        JOIN pg_catalog.pg_am am ON am.oid = c.opcmethod AND am.amname = 'btree'
        JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
        WHERE x.indrelid = {table} AND x.indisunique AND k.attnum > 0 ORDER BY x.indisprimary""",
    )
    return {int(one["attnum"]): str(one["equals"]) for one in found}


def _positions(link: Link, relation: int, target: Target) -> dict[int, int]:
    """Return by attnum of a logged table the index of the same column: partitions have their own numbers."""
    places = {c.name: n for n, c in enumerate(target.columns)}
    found = objects(
        link,
        f"SELECT attnum, attname AS name FROM pg_catalog.pg_attribute WHERE attrelid = {relation} AND attnum > 0 AND NOT attisdropped",
    )
    return {int(one["attnum"]): places[one["name"]] for one in found if one["name"] in places}


def _choose_key(link: Link, target: Target, migrations: Sequence[int]) -> None:
    """Tell rows by a key that every logged image has; the one of then, if its index is yet to be built again."""
    numbers, logged = ", ".join(map(str, migrations)), ", ".join(map(str, target.positions))
    shapes = objects(
        link,
        f"SELECT relation::int8 AS oid, attnums, key FROM {SHAPE} WHERE migration IN ({numbers}) AND relation IN ({logged}) "
        "ORDER BY since",
    )
    known = [
        {target.positions[s["oid"]][a] for a in s["attnums"] if a in target.positions[s["oid"]]}
        for s in shapes
    ]
    usable = set.intersection(*known) if known else set()
    if target.key and set(target.key) <= usable:
        return
    target.key = []
    for shape in shapes:
        place = target.positions[shape["oid"]]
        if shape["key"] and all(a in place and place[a] in usable for a in shape["key"]):
            chosen = [place[a] for a in shape["key"]]
            if _unique(link, target, chosen):
                target.key = chosen
                return


def _unique(link: Link, target: Target, key: list[int]) -> bool:
    names = ", ".join(f"t.{ident(target.columns[i].name)}" for i in key)
    twice = link.rows(f"SELECT FROM {target.rows_of} t GROUP BY {names} HAVING count(*) > 1 LIMIT 1")
    return not twice and not link.rows(f"SELECT FROM {target.rows_of} t WHERE ROW({names}) IS NULL LIMIT 1")


def _parents_first(link: Link, found: list[Target]) -> list[Target]:
    numbers = ", ".join(str(t.oid) for t in found) or "NULL"
    edges = objects(
        link,
        f"SELECT conrelid::int8 AS child, confrelid::int8 AS parent FROM pg_catalog.pg_constraint WHERE contype = 'f' "
        f"AND conrelid IN ({numbers}) AND confrelid IN ({numbers}) AND conrelid <> confrelid",
    )
    ordered: list[Target] = []
    left = list(found)
    while left:
        waiting = {t.oid for t in left}
        ready = [t for t in left if not any(e["child"] == t.oid and e["parent"] in waiting for e in edges)]
        ordered += ready or left[:1]  # a circle of foreign keys has no first
        left = [t for t in left if t not in ordered]
    return ordered

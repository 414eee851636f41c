"""What depends on a column, made again on the one that takes its name: by the text that PostgreSQL itself prints of it.

PostgreSQL does the same when it changes a column's type.
Source: PostgreSQL 15, src/backend/commands/tablecmds.c, ATPostAlterTypeCleanup.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from backout.databases.postgres.reversible.hide import NotHidden
from backout.databases.postgres.reversible.in_keys import speaks_of
from backout.databases.postgres.reversible.link import objects
from backout.databases.postgres.reversible.names import ident, is_hidden, literal
from backout.databases.postgres.reversible.privileges import granted
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing
from backout.databases.postgres.reversible.work import Work


@dataclass(slots=True)
class Dependents:
    """What was found on a column before it was hidden.

    Attributes:
        column: The column itself.
        checks: CHECK constraints.
        keys: Unique constraints and the primary key.
        indexes: The others.
        foreign: Foreign keys from it and to it.
    """

    column: Thing
    checks: list[Thing] = field(default_factory=list)
    keys: list[Thing] = field(default_factory=list)
    indexes: list[Thing] = field(default_factory=list)
    foreign: list[tuple[str, Thing]] = field(default_factory=list)
    clustered: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)


def dependents_of(work: Work, table: int, attnum: int) -> Dependents:
    """Return what will have to be made again.

    Raises:
        NotHidden: Something of it is not told by the text.
    """
    now = work.now
    found = Dependents(now.things[Key("column", table, attnum)])
    called = now.name(Key("column", table, attnum))
    _refuse(work, table, attnum, called)
    for key, one in sorted(now.things.items()):
        if key.kind == "constraint" and not one["parent"]:
            here = one["table"] == table and attnum in (one["columns"] or ())
            there = one["to_table"] == table and attnum in (one["to_columns"] or ())
            if one["kind"] == "f" and (here or there):
                found.foreign.append((work.table_path(one["table"], called=one["name"]), one))
            elif here and one["kind"] == "c":
                found.checks.append(one)
            elif here and one["kind"] in "pu":
                found.keys.append(one)
    behind = {one["index"] for one in now.of_table("constraint", table).values() if one["kind"] in "pux"}
    for key, one in now.of_table("index", table).items():
        if speaks_of(one, attnum) and not is_hidden(one["name"]):
            _refuse_index(now, key, one, keyed=key.oid in behind)
            found.clustered += [one["name"]] if one["clustered"] else []
            found.indexes += [] if key.oid in behind else [one]
    found.options = _options(work, table, attnum)
    return found


def strictness(work: Work, found: Dependents, name: str) -> list[str]:
    """Return the commands that ALTER TABLE does in the same pass over the rows as the change of the type."""
    commands = [f"ALTER COLUMN {name} SET NOT NULL"] if found.column["not_null"] else []
    return commands + [f"ADD CONSTRAINT {ident(one['name'])} {one['definition']}" for one in found.checks]


def make_again(work: Work, found: Dependents, table: int, attnum: int) -> None:
    """Make everything else again on another column, which has the name by now."""
    path = work.table_path(table, called=found.column["name"])
    name = ident(work.thing("column", table, attnum, called=found.column["name"])["name"])
    if found.column["default_text"] is not None and not found.column["identity"]:
        work.run(f"ALTER TABLE {path} ALTER COLUMN {name} SET DEFAULT {found.column['default_text']}")
    for one in found.keys:
        work.run(f"ALTER TABLE {path} ADD CONSTRAINT {ident(one['name'])} {one['definition']}")
    for one in found.indexes:
        work.run(one["definition"])
    for index in found.clustered:
        work.run(f"ALTER TABLE {path} CLUSTER ON {ident(index)}")
    for owner, one in found.foreign:
        work.run(f"ALTER TABLE {owner} ADD CONSTRAINT {ident(one['name'])} {one['definition']}")
    _say(work, found, path, name)


def _say(work: Work, found: Dependents, path: str, name: str) -> None:
    """Give comments, privileges and the column's options again."""
    column = found.column
    if column["comment"] is not None:
        work.run(f"COMMENT ON COLUMN {path}.{name} IS {literal(column['comment'])}")
    for one in (*found.checks, *found.keys):
        if one["comment"] is not None:
            work.run(f"COMMENT ON CONSTRAINT {ident(one['name'])} ON {path} IS {literal(one['comment'])}")
    for owner, one in found.foreign:
        if one["comment"] is not None:
            work.run(f"COMMENT ON CONSTRAINT {ident(one['name'])} ON {owner} IS {literal(one['comment'])}")
    for one in found.indexes:
        if one["comment"] is not None:
            schema = work.schema_name(one["schema"])
            work.run(f"COMMENT ON INDEX {ident(schema, one['name'])} IS {literal(one['comment'])}")
    for statement in granted(work, column, path, column["name"]):
        work.run(statement)
    if column["target"] is not None:
        work.run(f"ALTER TABLE {path} ALTER COLUMN {name} SET STATISTICS {column['target']}")
    if found.options:
        work.run(f"ALTER TABLE {path} ALTER COLUMN {name} SET ({', '.join(found.options)})")


def _refuse(work: Work, table: int, attnum: int, called: str) -> None:
    """Refuse what is not made again yet."""
    if work.now.things[Key("column", table, attnum)]["generated"]:
        raise NotHidden(f"{called} is a generated column")
    others: list[dict[str, Any]] = objects(
        work.link,
        f"""SELECT 'the statistics object ' || stxname AS what FROM pg_catalog.pg_statistic_ext
          WHERE stxrelid = {table} AND {attnum} = ANY (stxkeys::int2[])
        UNION ALL SELECT 'a publication''s list of columns' FROM pg_catalog.pg_publication_rel
          WHERE prrelid = {table} AND {attnum} = ANY (prattrs::int2[])""",
    )
    for one in others:
        raise NotHidden(f"{called} is in {one['what']}")


def _refuse_index(now: Snapshot, key: Key, one: Thing, *, keyed: bool) -> None:
    called = now.name(key)
    if one["tablespace"]:
        raise NotHidden(f"the index {called} has a tablespace of its own")
    if keyed and one["options"]:
        raise NotHidden(f"the index {called} of a constraint has options of its own")
    if one["primary"] and " INCLUDE " in one["definition"]:
        raise NotHidden(f"the primary key {called} includes other columns")


def _options(work: Work, table: int, attnum: int) -> list[str]:
    found = objects(
        work.link,
        f"SELECT unnest(attoptions) AS one FROM pg_catalog.pg_attribute WHERE attrelid = {table} AND attnum = {attnum}",
    )
    return [one["one"] for one in found]

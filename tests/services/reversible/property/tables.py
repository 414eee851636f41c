"""Statements about tables, their constraints and indexes."""

from __future__ import annotations

from .columns import Drawn, actions, definition
from .look import quoted, text
from .pen import Pen, of


def create(pen: Pen) -> Drawn:
    """A table whose first column tells its rows apart, and is most often its key."""
    row = quoted("id" if pen.chance(0.7) else pen.name())
    key = pen.random.choice(("PRIMARY KEY", "PRIMARY KEY", "PRIMARY KEY", "NOT NULL", "UNIQUE NOT NULL"))
    kind = pen.random.choice(("integer", "bigint"))
    parts = [f"{row} {kind} {key}"] + [
        definition(pen, filled=False) for _ in range(pen.random.randrange(1, 6))
    ]
    parent = pen.one(
        [t for t in pen.look.tables if t.row and any(k["columns"] == [1] for k in pen.look.keys(t, "pu"))]
    )
    if parent is not None and parent.row is not None and pen.chance(0.4):
        parts.append(
            f"{quoted(pen.name())} {parent.row.type} REFERENCES {parent.path} ({parent.row.sql}) {actions(pen)}"
        )
    return [f"CREATE TABLE {pen.path()} ({', '.join(parts)})"]


def create_as(pen: Pen) -> Drawn:
    table = pen.table()
    if table is None:
        return None
    return [f"CREATE TABLE {pen.path()} AS SELECT * FROM {table.path}"]


def copy_of(pen: Pen) -> Drawn:
    """A table like another, with its rows."""
    table = pen.table()
    if table is None:
        return None
    path = pen.path()
    listed = ", ".join(c.sql for c in table.columns if not c.generated and not c.identity)
    return [
        f"CREATE TABLE {path} (LIKE {table.path} INCLUDING ALL)",
        f"INSERT INTO {path} ({listed}) SELECT {listed} FROM {table.path}",
    ]


def rebuilt(pen: Pen) -> Drawn:
    """A table that is made anew of itself, under the same name."""
    table = pen.table()
    if table is None:
        return None
    new = quoted(table.schema, "made_anew")
    return [
        f"CREATE TABLE {new} AS SELECT * FROM {table.path}",
        f"DROP TABLE {table.path} CASCADE",
        f"ALTER TABLE {new} RENAME TO {quoted(table.name)}",
    ]


def drop(pen: Pen) -> Drawn:
    table = pen.table()
    if table is None or len(pen.look.tables) < 2:
        return None
    return [
        f"DROP TABLE {'IF EXISTS ' if pen.chance(0.2) else ''}{table.path}{' CASCADE' if pen.chance(0.5) else ''}"
    ]


def rename(pen: Pen) -> Drawn:
    table = pen.table()
    return table and [f"ALTER TABLE {table.path} RENAME TO {quoted(pen.name())}"]


def move(pen: Pen) -> Drawn:
    table = pen.table()
    return table and [f"ALTER TABLE {table.path} SET SCHEMA {quoted(pen.random.choice(pen.look.schemas))}"]


def comment(pen: Pen) -> Drawn:
    table = pen.table()
    return table and [f"COMMENT ON TABLE {table.path} IS {text(pen.name())}"]


def replaced(pen: Pen) -> Drawn:
    """Another table under the name of one that is dropped or set aside."""
    table = pen.table()
    if table is None:
        return None
    away = (
        f"DROP TABLE {table.path} CASCADE"
        if pen.chance(0.5)
        else f"ALTER TABLE {table.path} RENAME TO set_aside"
    )
    return [away, f"CREATE TABLE {table.path} (id integer PRIMARY KEY, {definition(pen, filled=False)})"]


def add_check(pen: Pen) -> Drawn:
    table = pen.table()
    check = table and pen.check(table)
    if table is None or check is None:
        return None
    return [
        f"ALTER TABLE {table.path} ADD CONSTRAINT {quoted(pen.name())} CHECK ({check}){' NOT VALID' if pen.chance(0.15) else ''}"
    ]


def add_unique(pen: Pen) -> Drawn:
    table = pen.table()
    column = table and pen.column(table)
    if table is None or column is None or table.row is None:
        return None
    columns = column.sql if pen.chance(0.5) else f"{column.sql}, {table.row.sql}"
    return [
        f"ALTER TABLE {table.path} ADD CONSTRAINT {quoted(pen.name())} UNIQUE ({columns}){' DEFERRABLE INITIALLY DEFERRED' if pen.chance(0.1) else ''}"
    ]


def add_key(pen: Pen) -> Drawn:
    table = pen.table()
    if table is None or table.row is None or pen.look.keys(table, "p"):
        return None
    column = pen.column(table)
    columns = table.row.sql if pen.chance(0.7) or column is None else f"{table.row.sql}, {column.sql}"
    return [f"ALTER TABLE {table.path} ADD PRIMARY KEY ({columns})"]


def add_foreign_key(pen: Pen) -> Drawn:
    """A foreign key over a column that there is, all of whose values are taken away, or all of whose bad ones."""
    table = pen.table()
    parent = pen.one(
        [t for t in pen.look.tables if t.row and any(k["columns"] == [1] for k in pen.look.keys(t, "pu"))]
    )
    if table is None or parent is None or parent.row is None:
        return None
    column = pen.column(table, bases=("integer", "bigint"))
    if column is None or column.identity:
        return None
    found = []
    if not column.not_null:
        found = [
            f"UPDATE {table.path} SET {column.sql} = NULL WHERE NOT EXISTS (SELECT FROM {parent.path} p WHERE p.{parent.row.sql} = {table.path}.{column.sql})"
        ]
    valid = " NOT VALID" if pen.chance(0.15) else ""
    return [
        *found,
        f"ALTER TABLE {table.path} ADD CONSTRAINT {quoted(pen.name())} FOREIGN KEY ({column.sql}) REFERENCES {parent.path} ({parent.row.sql}) {actions(pen)}{valid}",
    ]


def _constraint(pen: Pen, kinds: str) -> tuple[str, str] | None:
    told = pen.one([k for k in pen.look.constraints if k["kind"] in kinds])
    table = told and pen.look.table(told["table"])
    return (table.path, quoted(told["name"])) if told and table else None


def drop_constraint(pen: Pen) -> Drawn:
    found = _constraint(pen, pen.random.choice(("f", "c", "u", "fc", "p")))
    if found is None:
        return None
    return [f"ALTER TABLE {found[0]} DROP CONSTRAINT {found[1]}{' CASCADE' if pen.chance(0.4) else ''}"]


def rename_constraint(pen: Pen) -> Drawn:
    found = _constraint(pen, "pufc")
    return found and [f"ALTER TABLE {found[0]} RENAME CONSTRAINT {found[1]} TO {quoted(pen.name())}"]


def comment_constraint(pen: Pen) -> Drawn:
    found = _constraint(pen, "pufc")
    return found and [f"COMMENT ON CONSTRAINT {found[1]} ON {found[0]} IS {text(pen.name())}"]


def defer_constraint(pen: Pen) -> Drawn:
    found = _constraint(pen, "f")
    how = pen.random.choice(("DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED", "NOT DEFERRABLE"))
    return found and [f"ALTER TABLE {found[0]} ALTER CONSTRAINT {found[1]} {how}"]


def replace_foreign_key(pen: Pen) -> Drawn:
    """A foreign key with other actions under its name."""
    told = pen.one([k for k in pen.look.constraints if k["kind"] == "f"])
    table, parent = (told and pen.look.table(told["table"])), (told and pen.look.table(told["to_table"]))
    if not told or table is None or parent is None:
        return None
    here = [c.sql for n in told["columns"] if (c := table.column(n))]
    there = [c.sql for n in told["to_columns"] if (c := parent.column(n))]
    name = quoted(told["name"])
    return [
        f"ALTER TABLE {table.path} DROP CONSTRAINT {name}",
        f"ALTER TABLE {table.path} ADD CONSTRAINT {name} FOREIGN KEY ({', '.join(here)}) REFERENCES {parent.path} ({', '.join(there)}) {actions(pen)}",
    ]


def index(pen: Pen) -> Drawn:
    table = pen.table()
    column = table and pen.column(table, generated=True)
    if table is None or column is None or table.row is None:
        return None
    if pen.chance(0.2) and column.base == "text":
        over = f"(lower({column.sql}))"
    else:
        over = f"({column.sql}{', ' + table.row.sql if pen.chance(0.3) else ''})"
    unique = "UNIQUE " if pen.chance(0.15) else ""
    where = f" WHERE {column.sql} IS NOT NULL" if pen.chance(0.15) else ""
    return [f"CREATE {unique}INDEX {quoted(pen.name())} ON {table.path} {over}{where}"]


def index_concurrently(pen: Pen) -> Drawn:
    found = index(pen)
    return found and [found[0].replace("INDEX ", "INDEX CONCURRENTLY ", 1)]


def drop_index(pen: Pen) -> Drawn:
    told = pen.one([i for i in pen.look.indexes if not i["constraint"]])
    return told and [f"DROP INDEX {of(told)}"]


def rename_index(pen: Pen) -> Drawn:
    told = pen.one(pen.look.indexes)
    return told and [f"ALTER INDEX {of(told)} RENAME TO {quoted(pen.name())}"]


def stored(pen: Pen) -> Drawn:
    table = pen.table()
    column = table and pen.column(table)
    if table is None or column is None:
        return None
    what = pen.random.choice(
        (
            f"SET (fillfactor = {pen.random.randrange(50, 100)})",
            "RESET (fillfactor)",
            f"ALTER {column.sql} SET STATISTICS 50",
            "REPLICA IDENTITY FULL",
        )
    )
    return [f"ALTER TABLE {table.path} {what}"]

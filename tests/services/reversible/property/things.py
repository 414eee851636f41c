"""Statements about schemas, types, sequences, functions, triggers, views and who may do what."""

from __future__ import annotations

from .columns import Drawn
from .look import quoted, text
from .pen import Pen, of

_ROLES = ("reader", "other", "PUBLIC")


def schema(pen: Pen) -> Drawn:
    return [f"CREATE SCHEMA {quoted(pen.name())}"]


def rename_schema(pen: Pen) -> Drawn:
    told = pen.one([one for one in pen.look.schemas if one != "public"])
    return told and [f"ALTER SCHEMA {quoted(told)} RENAME TO {quoted(pen.name())}"]


def create_type(pen: Pen) -> Drawn:
    labels = pen.random.sample(("ok", "bad", "it's", "New", "a b", "x"), pen.random.randrange(2, 5))
    how = pen.random.choice(("enum", "enum", "enum", "domain", "composite"))
    if how == "enum":
        return [f"CREATE TYPE {pen.path()} AS ENUM ({', '.join(map(text, labels))})"]
    if how == "domain":
        return [
            f"CREATE DOMAIN {pen.path()} AS {pen.random.choice(('integer CHECK (VALUE > -5)', 'text', 'numeric(10,2)'))}"
        ]
    return [f"CREATE TYPE {pen.path()} AS (x integer, y text)"]


def drop_type(pen: Pen) -> Drawn:
    told = pen.one(pen.look.types)
    return told and [f"DROP TYPE {of(told)}"]


def rename_type(pen: Pen) -> Drawn:
    told = pen.one(pen.look.types)
    return told and [f"ALTER TYPE {of(told)} RENAME TO {quoted(pen.name())}"]


def _enum(pen: Pen) -> dict[str, object] | None:
    return pen.one([one for one in pen.look.types if one["class"] == "e"])


def add_label(pen: Pen) -> Drawn:
    told = _enum(pen)
    return told and [f"ALTER TYPE {of(told)} ADD VALUE {text(f'label {pen.next()}')}"]


def rename_label(pen: Pen) -> Drawn:
    told = _enum(pen)
    if told is None:
        return None
    return [
        f"ALTER TYPE {of(told)} RENAME VALUE {text(pen.random.choice(list(told['labels'])))} TO {text(f'label {pen.next()}')}"
    ]  # type: ignore[call-overload]


def enum_made_anew(pen: Pen) -> Drawn:
    """As Prisma and Drizzle change an enum: another type, the columns changed to it, the earlier one dropped."""
    told = _enum(pen)
    if told is None:
        return None
    name = quoted(str(told["schema"]), str(told["name"]))
    users = [
        (t, c)
        for t in pen.look.tables
        for c in t.columns
        if c.labels and c.type.replace('"', "").split(".")[-1] == told["name"]
    ]
    if not users or any(c.default for _, c in users):
        return None
    labels = [*told["labels"], "one more"]  # type: ignore[misc]
    found = [
        f"ALTER TYPE {name} RENAME TO enum_old",
        f"CREATE TYPE {name} AS ENUM ({', '.join(text(str(one)) for one in labels)})",
    ]
    old = quoted(str(told["schema"]), "enum_old")
    found += [
        f"ALTER TABLE {t.path} ALTER COLUMN {c.sql} TYPE {name} USING ({c.sql}::text::{name})"
        for t, c in users
    ]
    return [*found, f"DROP TYPE {old}"]


def sequence(pen: Pen) -> Drawn:
    return [f"CREATE SEQUENCE {pen.path()} START {pen.random.randrange(1, 1000)}"]


def drop_sequence(pen: Pen) -> Drawn:
    told = pen.one([one for one in pen.look.sequences if not one["owned"]])
    return told and [f"DROP SEQUENCE {of(told)}"]


def rename_sequence(pen: Pen) -> Drawn:
    told = pen.one(pen.look.sequences)
    return told and [f"ALTER SEQUENCE {of(told)} RENAME TO {quoted(pen.name())}"]


def function(pen: Pen) -> Drawn:
    return [
        f"CREATE FUNCTION {pen.path()}(x integer) RETURNS integer LANGUAGE sql AS 'SELECT x + {pen.next()}'"
    ]


def replace_function(pen: Pen) -> Drawn:
    told = pen.one([one for one in pen.look.functions if one["arguments"] == "x integer"])
    return told and [
        f"CREATE OR REPLACE FUNCTION {of(told)}(x integer) RETURNS integer LANGUAGE sql AS 'SELECT x + {pen.next()}'"
    ]


def rename_function(pen: Pen) -> Drawn:
    told = pen.one(pen.look.functions)
    return told and [f"ALTER FUNCTION {of(told)}({told['arguments']}) RENAME TO {quoted(pen.name())}"]


def drop_function(pen: Pen) -> Drawn:
    told = pen.one(pen.look.functions)
    return told and [f"DROP FUNCTION {of(told)}({told['arguments']})"]


def trigger(pen: Pen) -> Drawn:
    """A function and a trigger that changes a text of the row."""
    table = pen.table()
    column = table and pen.text_column(table)
    if table is None or column is None:
        return None
    path, name = pen.path(), quoted(pen.name())
    body = f"BEGIN NEW.{column.sql} = upper(NEW.{column.sql}); RETURN NEW; END"
    event = pen.random.choice(("INSERT", "UPDATE", "INSERT OR UPDATE", f"UPDATE OF {column.sql}"))
    return [
        f"CREATE FUNCTION {path}() RETURNS trigger LANGUAGE plpgsql AS $body${body}$body$",
        f"CREATE TRIGGER {name} BEFORE {event} ON {table.path} FOR EACH ROW EXECUTE FUNCTION {path}()",
    ]


def change_trigger(pen: Pen) -> Drawn:
    told = pen.one(pen.look.triggers)
    table = told and pen.look.table(told["table"])
    if not told or table is None:
        return None
    name = quoted(told["name"])
    return [
        pen.random.choice(
            (
                f"DROP TRIGGER {name} ON {table.path}",
                f"ALTER TRIGGER {name} ON {table.path} RENAME TO {quoted(pen.name())}",
                f"ALTER TABLE {table.path} DISABLE TRIGGER {name}",
                f"ALTER TABLE {table.path} ENABLE ALWAYS TRIGGER {name}",
            )
        )
    ]


def view(pen: Pen) -> Drawn:
    table = pen.table()
    if table is None or table.row is None:
        return None
    columns = [table.row, *pen.random.sample(table.others(), min(len(table.others()), 2))]
    return [f"CREATE VIEW {pen.path()} AS SELECT {', '.join(c.sql for c in columns)} FROM {table.path}"]


def change_view(pen: Pen) -> Drawn:
    told = pen.one(pen.look.views)
    if told is None:
        return None
    how = pen.random.choice(
        (
            f"DROP VIEW {of(told)} CASCADE",
            f"ALTER VIEW {of(told)} RENAME TO {quoted(pen.name())}",
            f"COMMENT ON VIEW {of(told)} IS {text(pen.name())}",
        )
    )
    return [how]


def row_security(pen: Pen) -> Drawn:
    table = pen.table()
    how = pen.random.choice(("ENABLE", "DISABLE", "FORCE", "NO FORCE"))
    return table and [f"ALTER TABLE {table.path} {how} ROW LEVEL SECURITY"]


def policy(pen: Pen) -> Drawn:
    table = pen.table()
    check = table and pen.check(table)
    if table is None or check is None:
        return None
    how = pen.random.choice(("", "FOR SELECT TO reader ", "AS RESTRICTIVE TO PUBLIC "))
    return [f"CREATE POLICY {quoted(pen.name())} ON {table.path} {how}USING ({check})"]


def change_policy(pen: Pen) -> Drawn:
    told = pen.one(pen.look.policies)
    table = told and pen.look.table(told["table"])
    if not told or table is None:
        return None
    name, check = quoted(told["name"]), pen.check(table) or "true"
    how = pen.random.choice(
        (
            f"DROP POLICY {name} ON",
            f"ALTER POLICY {name} ON {table.path} RENAME TO {quoted(pen.name())}",
            f"ALTER POLICY {name} ON {table.path} USING ({check})",
        )
    )
    return [f"{how} {table.path}" if how.startswith("DROP") else how]


def grant(pen: Pen) -> Drawn:
    table = pen.table()
    if table is None:
        return None
    what = pen.random.choice(
        ("SELECT", "INSERT, UPDATE", "ALL", f"SELECT ({pen.random.choice(table.columns).sql})", "DELETE")
    )
    if pen.chance(0.6):
        return [f"GRANT {what} ON {table.path} TO {pen.random.choice(_ROLES)}"]
    return [f"REVOKE {what} ON {table.path} FROM {pen.random.choice(_ROLES)}"]

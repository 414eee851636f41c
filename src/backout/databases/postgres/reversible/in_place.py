"""A type that PostgreSQL changes in the catalog alone, and the way back of it, which writes every row anew.

Values that do not fit then are set aside in a hidden column, where the way forward finds them again.
"""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.answers import Given, place_of
from backout.databases.postgres.reversible.conversion import (
    called_with,
    function,
    set_as,
    settings,
    unwatched,
)
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.link import LinkError, scalar
from backout.databases.postgres.reversible.names import COMMENT, hidden, ident, literal
from backout.databases.postgres.reversible.rows.quiet import quietly
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.ways import columns_of, in_key, way_back
from backout.databases.postgres.reversible.work import Moved, Work


def planned(
    work: Work, table: int, attnum: int, change: int, using: Any, new_type: str, given: Given
) -> Operation:
    """Return what the journal has to tell, before the type is changed.

    Args:
        work: The client's transaction.
        table: Oid.
        attnum: The column's number.
        change: Number of the journal row.
        using: Tree of the expression that gives the values; None: PostgreSQL's own cast.
        new_type: Without collation.
        given: The user's answers.

    Raises:
        Veto: The way back would not be known.
    """
    key = Key("column", table, attnum)
    column, was = work.now.things[key], work.was(key) or work.now.things[key]
    name, up = column["name"], None
    operation: Operation = {
        "form": "in place",
        "table": table,
        "new": attnum,
        "called": work.now.name(key),
        "settings": settings(work),
        "fill": given.fill,
        "types": [column["type_text"], new_type],
        "strict": column["not_null"] and not in_key(work.now, table, attnum),
        "from": _shape(was),
    }
    columns = columns_of(work, operation, own=attnum, name=name)
    if using is not None:
        up = function(work, f"{hidden(change)}_up", using, columns, new_type)
    columns[name] = (attnum, new_type)
    made = way_back(work, operation, f"{hidden(change)}_down", name, given, columns=columns)
    # Hazard: PostgreSQL's own cast is left to it, as a function's result has no length.
    down = made if given.back is not None else None
    return operation | {"up": up, "down": down}


def narrowed(work: Work, change: int, operation: Operation) -> Operation:
    """Give the column its earlier type back."""
    table, attnum, called = operation["table"], operation["new"], operation["called"]
    later = _shape(
        work.was(Key("column", table, attnum)) or work.thing("column", table, attnum, called=called)
    )
    set_as(work, operation["settings"])
    with unwatched(work, table, operation["new"]):
        work.link.rows("SAVEPOINT backout")
        try:
            _change(work, operation, operation["from"], operation["down"])
        except LinkError as error:
            work.link.rows("ROLLBACK TO SAVEPOINT backout")
            work.forget()
            if not error.sqlstate.startswith(("22", "23514")):
                raise
            _set_aside(work, change, operation, why=str(error))
            _change(work, operation, operation["from"], operation["down"])
        work.link.rows("RELEASE SAVEPOINT backout")
    return operation | {"to": later}


def widened(work: Work, change: int, operation: Operation) -> Operation:
    """Give the column its later type again, and the values that did not fit."""
    table, called = operation["table"], operation["called"]
    set_as(work, operation["settings"])
    with unwatched(work, table, operation["new"]):
        _change(work, operation, operation["to"], operation["up"])
        path = work.table_path(table, called=called)
        aside = [one for one in work.now.columns(table).values() if one["name"] == hidden(change)]
        if aside:
            column = ident(work.thing("column", table, operation["new"], called=called)["name"])
            put = operation["fill"] or "NULL"
            with quietly(work.link, [table], []):
                work.run(
                    f"UPDATE {path} SET {column} = {ident(hidden(change))} "
                    f"WHERE {ident(hidden(change))} IS NOT NULL AND {column} IS NOT DISTINCT FROM {put}"
                )
            work.run(f"ALTER TABLE {path} DROP COLUMN {ident(hidden(change))}")
    return operation


def _shape(column: dict[str, Any]) -> Operation:
    return {
        "type": column["type_text"],
        "collation": column["collation"],
        "default": column["default_text"],
        "required": column["not_null"],
    }


def _change(work: Work, operation: Operation, shape: Operation, by: Operation | None) -> None:
    table, called = operation["table"], operation["called"]
    path = work.table_path(table, called=called)
    name = ident(work.thing("column", table, operation["new"], called=called)["name"])
    using = f" USING {called_with(work, table, [by])}" if by is not None else ""
    work.run(f"ALTER TABLE {path} ALTER COLUMN {name} TYPE {shape['type']}{_collate(work, shape)}{using}")
    now = work.thing("column", table, operation["new"], called=called)
    if now["default_text"] != shape["default"] and shape["default"] is not None:
        work.run(f"ALTER TABLE {path} ALTER COLUMN {name} SET DEFAULT {shape['default']}")


def _collate(work: Work, shape: Operation) -> str:
    if not shape["collation"]:
        return ""
    found = scalar(
        work.link,
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.collname) FROM pg_catalog.pg_collation c "
        f"JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = {shape['collation']}",
    )
    return f" COLLATE {found}"


def _set_aside(work: Work, change: int, operation: Operation, *, why: str) -> None:
    """Move values that the earlier type cannot hold to a hidden column.

    Raises:
        Moved: There is nothing to put in their place.
    """
    table, called, shape = operation["table"], operation["called"], operation["from"]
    path = work.table_path(table, called=called)
    column = work.thing("column", table, operation["new"], called=called)
    if shape["required"] and operation["fill"] is None:
        raise Moved(
            called,
            f"has values written since that its earlier type cannot hold ({why}): change them first",
            fill=place_of(called),
        )
    name, aside = ident(column["name"]), ident(hidden(change))
    work.run(f"ALTER TABLE {path} ADD COLUMN {aside} {column['type_text']}")
    work.run(f"COMMENT ON COLUMN {path}.{aside} IS {literal(COMMENT + '{}')}")
    value = called_with(work, table, [operation["down"]]) if operation["down"] is not None else name
    body = f"""DECLARE
  row_at tid; tried {shape["type"]}; kept bigint := 0;
BEGIN
  FOR row_at IN SELECT ctid FROM {path} LOOP
    BEGIN
      SELECT {value} INTO tried FROM {path} WHERE ctid = row_at;
    EXCEPTION WHEN data_exception OR check_violation THEN
      UPDATE {path} SET {aside} = {name}, {name} = {operation["fill"] or "NULL"} WHERE ctid = row_at;
      kept := kept + 1;
    END;
  END LOOP;
  PERFORM pg_catalog.set_config('backout.kept', kept::text, true);
END"""
    with quietly(work.link, [table], []):
        work.run(f"DO {literal(body)}")
    kept = scalar(work.link, "SELECT pg_catalog.current_setting('backout.kept')")
    work.residues.append(
        f"{called}: {kept} values written since did not fit into its earlier type ({why}); kept, hidden"
    )

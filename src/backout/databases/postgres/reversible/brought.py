"""Bringing rows that were written since from a table to the one that it was built from, or into, whichever of the two is hidden."""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.conversion import by_index, called, set_as
from backout.databases.postgres.reversible.key_log import Side, log_of, side_of, unwatch, watch
from backout.databases.postgres.reversible.link import LinkError, scalar
from backout.databases.postgres.reversible.names import SCHEMA, hidden, ident, literal
from backout.databases.postgres.reversible.rows.quiet import quietly
from backout.databases.postgres.reversible.rows.write import ROW_IS_REFUSED
from backout.databases.postgres.reversible.snapshot import Thing
from backout.databases.postgres.reversible.work import Moved, Work

Record = dict[str, Any]


def bring_over(work: Work, change: int, told: Record, *, back: bool) -> None:
    """Give the shown table what was written to the other one, and have logged what is written to it from now on.

    Args:
        work: The transaction, which holds the exclusive locks of both tables.
        change: Number of the journal row.
        told: What `rebuilt.paired` has returned.
        back: It is the dropped one that is shown.

    Raises:
        Moved: A column that the rows are made of is gone.
    """
    source, target = (told["made"], told["dropped"]) if back else (told["dropped"], told["made"])
    here = side_of(work, target["table"], target["key"])
    there = side_of(work, source["table"], source["key"])
    ways = told["back" if back else "forth"]
    unwatch(work, change)
    needed = {one for way in ways.values() for one in way["columns"]} | set(there.key)
    every = work.now.columns(there.table)
    if not needed <= every.keys() or not set(here.key) <= here.columns.keys():
        raise Moved(
            target["called"], f"cannot get the rows written since: {source['called']} has other columns now"
        )
    set_as(work, told["settings"])
    log = log_of(change)
    work.run(f"ANALYZE {log}")
    with quietly(work.link, [here.table], [there.table]), by_index(work):
        _merge(work, change, (here, there), ways, target["called"])
    work.run(f"DELETE FROM {log}")
    watch(work, change, here)


def _merge(work: Work, change: int, sides: tuple[Side, Side], ways: dict[str, Record], called: str) -> None:
    here, there = sides
    log, kept = log_of(change), ident(SCHEMA, f"{hidden(change)}_kept")
    statements = _statements(work, here, there, ways, kept)
    keys = f"(SELECT DISTINCT {_casts(here)} FROM {log} l)"
    work.link.rows("SAVEPOINT backout")
    try:
        for statement in statements:
            work.run(statement.replace("{keys}", keys))
    except LinkError as error:
        if not error.sqlstate.startswith(ROW_IS_REFUSED):
            raise
        work.link.rows("ROLLBACK TO SAVEPOINT backout")
        work.forget()
        _row_by_row(work, here, statements, log, called, str(error))
    work.link.rows("RELEASE SAVEPOINT backout")
    _number(work, here, log)


def _casts(here: Side) -> str:
    return ", ".join(
        f"l.k[{at}]::{here.columns[attnum]['type_text']} AS k{at}" for at, attnum in enumerate(here.key, 1)
    )


def _statements(work: Work, here: Side, there: Side, ways: dict[str, Record], kept: str) -> list[str]:
    """Return what brings the rows of some keys over: what is there is kept, goes, and comes again with its other values."""
    same = " AND ".join(
        f"k.k{at} = {{0}}.{ident(here.columns[n]['name'])}" for at, n in enumerate(here.key, 1)
    )
    source = " AND ".join(
        f"k.k{at} = s.{ident(work.now.columns(there.table)[n]['name'])}" for at, n in enumerate(there.key, 1)
    )
    columns = {n: one for n, one in here.columns.items() if not one["generated"]}
    given = [
        _called(work, there.table, ways[str(n)])
        if str(n) in ways
        else f"CASE WHEN o.{ident(here.columns[here.key[0]]['name'])} IS NOT NULL THEN o.{ident(one['name'])} ELSE {_default(work, here, n, one)} END"
        for n, one in columns.items()
    ]
    names = ", ".join(ident(one["name"]) for one in columns.values())
    insert = (
        f"INSERT INTO {here.path} ({names}) OVERRIDING SYSTEM VALUE SELECT {', '.join(given)} "
        f"FROM {{keys}} k JOIN {there.path} s ON {source} LEFT JOIN {kept} o ON {same.format('o')}"
    )
    return [
        f"CREATE TABLE {kept} AS SELECT t.* FROM {{keys}} k JOIN {here.path} t ON {same.format('t')}",
        f"DELETE FROM {here.path} t USING {{keys}} k WHERE {same.format('t')}",
        insert,
        f"DROP TABLE {kept}",
    ]


def _called(work: Work, table: int, way: Record) -> str:
    columns = work.now.columns(table)
    given = [f"s.{ident(columns[one]['name'])}" for one in way["columns"]]
    return called(way, given)


def _default(work: Work, here: Side, attnum: int, column: Thing) -> str:
    if column["identity"]:
        owned = [
            key
            for key, one in work.now.things.items()
            if key.kind == "sequence" and (one["owned_by"] or [])[:2] == [here.table, attnum]
        ]
        return f"pg_catalog.nextval({owned[0].oid}::regclass)" if owned else "NULL"
    return str(column["default_text"] or "NULL")


def _row_by_row(work: Work, here: Side, statements: list[str], log: str, called: str, why: str) -> None:
    """Bring over the rows that can be; the others stay as they are on either side, and are counted."""
    one_key = (
        "(SELECT "
        + ", ".join(
            f"(one[{at}])::{here.columns[n]['type_text']} AS k{at}" for at, n in enumerate(here.key, 1)
        )
        + ")"
    )
    steps = "; ".join(one.replace("{keys}", one_key) for one in statements)
    body = f"""DECLARE
  one text[]; kept bigint := 0;
BEGIN
  FOR one IN SELECT l.k FROM {log} l LOOP
    BEGIN
      {steps};
    EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
      kept := kept + 1;
    END;
  END LOOP;
  PERFORM pg_catalog.set_config('backout.kept', kept::text, true);
END"""
    work.run(f"DO {literal(body)}")
    kept = scalar(work.link, "SELECT pg_catalog.current_setting('backout.kept')")
    rows = f"{kept} {'row' if kept == '1' else 'rows'}"
    work.residues.append(
        f"{called} has {rows} written since not as they are in the other table ({why}): kept there, hidden"
    )


def _number(work: Work, here: Side, log: str) -> None:
    """Have what numbers the key go on behind the numbers that were given since."""
    for at, attnum in enumerate(here.key, 1):
        for key, one in work.now.things.items():
            if key.kind != "sequence" or (one["owned_by"] or [])[:2] != [here.table, attnum]:
                continue
            path = work.path("sequence", key.oid, called=str(one["name"]))
            furthest = "max" if one["increment"] > 0 else "min"
            further = "greatest" if one["increment"] > 0 else "least"
            work.run(
                f"SELECT pg_catalog.setval({key.oid}::regclass, {further}(l.given, s.last_value)) "
                f"FROM (SELECT {furthest}(k[{at}]::numeric)::int8 AS given FROM {log}) l, {path} s "
                f"WHERE l.given IS NOT NULL AND l.given BETWEEN {one['minimum']} AND {one['maximum']} "
                f"AND {further}(l.given, s.last_value) = l.given"
            )

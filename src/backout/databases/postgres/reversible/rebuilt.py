"""A dropped table whose rows another one has, which its migration made: built anew, with other columns or another key.

What is written since is in the other alone. A trigger logs the keys of rows that are written there, as text; on the way
back the dropped table gets those rows, and loses what was deleted. While the other one is hidden, it goes the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backout.databases.postgres.reversible import answers, expressions
from backout.databases.postgres.reversible.catalog import Key, Thing
from backout.databases.postgres.reversible.conversion import by_index, called, function, set_as, settings
from backout.databases.postgres.reversible.hide import NotHidden, refuse_family
from backout.databases.postgres.reversible.link import LinkError, scalar
from backout.databases.postgres.reversible.names import LAST, SCHEMA, hidden, ident, is_hidden, literal
from backout.databases.postgres.reversible.origins import Pour
from backout.databases.postgres.reversible.rows.quiet import quietly
from backout.databases.postgres.reversible.rows.store import FORMATS, SETTING, WAY
from backout.databases.postgres.reversible.rows.write import ROW_IS_REFUSED
from backout.databases.postgres.reversible.updates import copied_from
from backout.databases.postgres.reversible.ways import if_it_casts
from backout.databases.postgres.reversible.work import Moved, Work

Record = dict[str, Any]


def log_of(change: int) -> str:
    """Return the quoted name of the table that has the keys of rows written since, by the number of the journal row."""
    return ident(SCHEMA, f"{hidden(change)}_keys")


class NotPaired(Exception):
    """The two tables cannot be kept the same; the message says why."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two tables.

    Attributes:
        table: Oid.
        path: Quoted name.
        columns: Visible ones, by attnum.
        key: Attnums, in the order of the dropped one's primary key.
    """

    table: int
    path: str
    columns: dict[int, Thing]
    key: list[int]


def paired(work: Work, dropped: int, made: int, change: int, pour: Pour, given: dict[str, str]) -> Record:
    """Pair a table, before it is dropped, with the one that has its rows; return what the journal has to know.

    Args:
        work: The client's transaction.
        dropped: Oid.
        made: Oid of the other one.
        change: Number of the journal row.
        pour: The only statement that has filled it.
        given: The user's answers.

    Raises:
        NotPaired: The way back would not be known.
        Veto: An answer is needed.
    """
    for one in (dropped, made):
        try:
            refuse_family(work.now, one, work.now.name(Key("table", one)))
        except NotHidden as error:
            raise NotPaired(str(error)) from None
    old, new = _side(work, dropped), _side(work, made)
    if pour.values is None:
        raise NotPaired("its rows were not taken over one by one")
    numbers = {str(one["name"]): attnum for attnum, one in new.columns.items()}
    if not pour.values.keys() <= numbers.keys():
        raise NotPaired("columns of the other one have got other names since it was filled")
    values = {numbers[name]: tree for name, tree in pour.values.items()}
    own = {str(one["name"]): (attnum, str(one["type_text"])) for attnum, one in old.columns.items()}
    carried = _carried(values, own)
    old_key = _primary_key(work, old)
    if not old_key or not set(old_key) <= carried.keys():
        raise NotPaired("it has no primary key that the other one has taken over as it is")
    new_key = [carried[attnum] for attnum in old_key]
    if not _is_unique(work, made, new_key):
        raise NotPaired("what is its primary key is no unique key of the other one")
    old, new = _side(work, dropped, old_key), _side(work, made, new_key)
    _watch(work, change, new)
    return {
        "dropped": {"table": dropped, "key": old_key, "called": work.now.name(Key("table", dropped))},
        "made": {"table": made, "key": new_key, "called": work.now.name(Key("table", made))},
        "back": _back(work, change, old, new, values, carried, given),
        "forth": _forth(work, change, new, values, own),
        "settings": settings(work),
    }


def _side(work: Work, table: int, key: Sequence[int] = ()) -> _Side:
    columns = {n: one for n, one in work.now.columns(table).items() if not is_hidden(str(one["name"]))}
    return _Side(table, work.table_path(table, called=f"table {table}"), columns, list(key))


def _carried(values: dict[int, Any], own: dict[str, tuple[int, str]]) -> dict[int, int]:
    """Return which columns were taken over as they are: of the one table, those of the other. Pure."""
    found: dict[int, int] = {}
    for attnum, tree in values.items():
        name = copied_from(tree)
        if name is not None and name in own:
            found.setdefault(own[name][0], attnum)
    return found


def _primary_key(work: Work, side: _Side) -> list[int]:
    indexes = work.now.of_table("index", side.table).values()
    found: list[int] = next((one["columns"] for one in indexes if one["primary"]), [])
    return [attnum for attnum in found if attnum]


def _is_unique(work: Work, table: int, key: list[int]) -> bool:
    """Tell whether a table has a key of these columns, in whatever order."""
    return any(
        one["unique"] and one["valid"] and sorted(one["columns"]) == sorted(key) and one["predicate"] is None
        for one in work.now.of_table("index", table).values()
    )


def _back(
    work: Work,
    change: int,
    old: _Side,
    new: _Side,
    values: dict[int, Any],
    carried: dict[int, int],
    given: dict[str, str],
) -> dict[str, Record]:
    """Return how the dropped table's columns follow from the other's, by attnum; what is left out was not taken over."""
    there = {str(one["name"]): (n, str(one["type_text"])) for n, one in new.columns.items()}
    spoken = {name for tree in values.values() for name in expressions.named(tree)}
    called = work.now.name(Key("table", old.table))
    ways: dict[str, Record] = {}
    for attnum, one in old.columns.items():
        if one["generated"]:
            continue
        column, name = f"{called}.{one['name']}", f"{hidden(change)}_down{attnum}"
        answer = answers.for_retyped(column, given)
        if answer.back is not None:
            ways[str(attnum)] = function(work, name, expressions.parsed(answer.back), there, one["type_text"])
        elif attnum in carried:
            taker = new.columns[carried[attnum]]
            by = {str(taker["name"]): (carried[attnum], str(taker["type_text"]))}
            way = if_it_casts(work, name, ident(str(taker["name"])), by, one["type_text"])
            if way is None:
                raise answers.taken_by_others(
                    column, [f"{work.now.name(Key('table', new.table))}.{taker['name']}"]
                )
            ways[str(attnum)] = way
        elif one["name"] in spoken:
            takers = [
                work.now.name(Key("column", new.table, n))
                for n, tree in values.items()
                if one["name"] in expressions.named(tree)
            ]
            raise answers.taken_by_others(column, takers)
        elif one["not_null"] and one["default"] is None and not one["identity"]:
            raise answers.taken_by_others(column, [work.now.name(Key("table", new.table))])
    return ways


def _forth(
    work: Work, change: int, new: _Side, values: dict[int, Any], own: dict[str, tuple[int, str]]
) -> dict[str, Record]:
    """Return how the other table's columns follow from the dropped one's, as the migration made them."""
    return {
        str(attnum): function(
            work, f"{hidden(change)}_up{attnum}", tree, own, str(new.columns[attnum]["type_text"])
        )
        for attnum, tree in values.items()
        if not new.columns[attnum]["generated"]
    }


def bring_over(work: Work, change: int, told: Record, *, back: bool) -> None:
    """Give the shown table what was written to the other one, and have logged what is written to it from now on.

    Args:
        work: The transaction, which holds the exclusive locks of both tables.
        change: Number of the journal row.
        told: What `paired` has returned.
        back: It is the dropped one that is shown.

    Raises:
        Moved: A column that the rows are made of is gone.
    """
    source, target = (told["made"], told["dropped"]) if back else (told["dropped"], told["made"])
    here = _side(work, target["table"], target["key"])
    there = _side(work, source["table"], source["key"])
    ways = told["back" if back else "forth"]
    _unwatch(work, change)
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
    _watch(work, change, here)


def _merge(work: Work, change: int, sides: tuple[_Side, _Side], ways: dict[str, Record], called: str) -> None:
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


def _casts(here: _Side) -> str:
    return ", ".join(
        f"l.k[{at}]::{here.columns[attnum]['type_text']} AS k{at}" for at, attnum in enumerate(here.key, 1)
    )


def _statements(work: Work, here: _Side, there: _Side, ways: dict[str, Record], kept: str) -> list[str]:
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


def _default(work: Work, here: _Side, attnum: int, column: Thing) -> str:
    if column["identity"]:
        owned = [
            key
            for key, one in work.now.things.items()
            if key.kind == "sequence" and (one["owned_by"] or [])[:2] == [here.table, attnum]
        ]
        return f"pg_catalog.nextval({owned[0].oid}::regclass)" if owned else "NULL"
    return str(column["default_text"] or "NULL")


def _row_by_row(work: Work, here: _Side, statements: list[str], log: str, called: str, why: str) -> None:
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


def _number(work: Work, here: _Side, log: str) -> None:
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


def _watch(work: Work, change: int, side: _Side) -> None:
    """Have the keys logged of rows that are written to a table."""
    log, note = log_of(change), ident(SCHEMA, f"{hidden(change)}_note")
    if scalar(work.link, f"SELECT pg_catalog.to_regclass({literal(log)})") is None:
        work.run(f"CREATE TABLE {log} (k text[] PRIMARY KEY)")
        work.run(f"REVOKE ALL ON {log} FROM PUBLIC")
        sets = " ".join(f"SET {name} = '{value}'" for name, value in FORMATS.items())
        # By number: a column may get another name while this is at work.
        work.run(
            f"CREATE FUNCTION {note}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
            f"SET search_path = pg_catalog, pg_temp {sets} AS {literal(_noted(log))}"
        )
        work.run(f"REVOKE ALL ON FUNCTION {note}() FROM PUBLIC")
    unless = " AND ".join(
        f"coalesce(pg_catalog.current_setting('{one}', true), '') OPERATOR(pg_catalog.=) ''"
        for one in (SETTING, WAY)
    )
    key = ", ".join(literal(str(one)) for one in side.key)
    for name, event in (
        (f"{LAST}{change}", "AFTER INSERT OR UPDATE OR DELETE"),
        (f"{LAST}{change}_t", "BEFORE TRUNCATE"),
    ):
        each = "STATEMENT" if event.endswith("TRUNCATE") else "ROW"
        work.run(
            f"CREATE TRIGGER {ident(name)} {event} ON {side.path} FOR EACH {each} WHEN ({unless}) EXECUTE FUNCTION {note}({key})"
        )
        work.run(f"ALTER TABLE {side.path} ENABLE ALWAYS TRIGGER {ident(name)}")


def _noted(log: str) -> str:
    return f"""DECLARE
  key text;
BEGIN
  SELECT string_agg(format('($1).%I::text', a.attname), ', ' ORDER BY g.at) INTO key
  FROM unnest(TG_ARGV) WITH ORDINALITY g(attnum, at) JOIN pg_attribute a ON a.attrelid = TG_RELID AND a.attnum = g.attnum::int2;
  IF TG_OP = 'TRUNCATE' THEN
    EXECUTE format('INSERT INTO {log} SELECT ARRAY[%s] FROM %s t ON CONFLICT DO NOTHING', replace(key, '($1)', 't'), TG_RELID::regclass);
    RETURN NULL;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    EXECUTE format('INSERT INTO {log} SELECT ARRAY[%s] ON CONFLICT DO NOTHING', key) USING OLD;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    EXECUTE format('INSERT INTO {log} SELECT ARRAY[%s] ON CONFLICT DO NOTHING', key) USING NEW;
  END IF;
  RETURN NULL;
END"""


def _unwatch(work: Work, change: int) -> None:
    """Undo `_watch`, whichever table it is; after a dump and restore that is known by its trigger alone."""
    names = (f"{LAST}{change}", f"{LAST}{change}_t")
    for key, one in work.now.things.items():
        if key.kind == "trigger" and one["name"] in names:
            path = work.table_path(one["table"], called=str(one["name"]))
            work.run(f"DROP TRIGGER {ident(one['name'])} ON {path}")


def forget(work: Work, change: int) -> None:
    """Drop what logs the keys of rows: there is no way back any more."""
    _unwatch(work, change)
    work.run(f"DROP FUNCTION IF EXISTS {ident(SCHEMA, f'{hidden(change)}_note')}()")
    work.run(f"DROP TABLE IF EXISTS {log_of(change)}")

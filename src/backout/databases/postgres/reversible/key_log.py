"""The keys of rows that are written to a table, logged as text for the way back of another one that was built from, or into, it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backout.databases.postgres.reversible.conversion import shut
from backout.databases.postgres.reversible.link import scalar
from backout.databases.postgres.reversible.names import LAST, SCHEMA, hidden, ident, is_hidden, literal
from backout.databases.postgres.reversible.rows.store import FORMATS, SETTING, WAY
from backout.databases.postgres.reversible.snapshot import Thing
from backout.databases.postgres.reversible.work import Work


@dataclass(frozen=True, slots=True)
class Side:
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


def log_of(change: int) -> str:
    """Return the quoted name of the table that has the keys of rows written since, by the number of the journal row."""
    return ident(SCHEMA, f"{hidden(change)}_keys")


def side_of(work: Work, table: int, key: Sequence[int] = ()) -> Side:
    """Return a table as it is now."""
    columns = {n: one for n, one in work.now.columns(table).items() if not is_hidden(str(one["name"]))}
    return Side(table, work.table_path(table, called=f"table {table}"), columns, list(key))


def watch(work: Work, change: int, side: Side) -> None:
    """Have the keys logged of rows that are written to a table."""
    log, note = log_of(change), ident(SCHEMA, f"{hidden(change)}_note")
    if scalar(work.link, f"SELECT pg_catalog.to_regclass({literal(log)})") is None:
        work.run(f"CREATE TABLE {log} (k text[] PRIMARY KEY)")
        sets = " ".join(f"SET {name} = '{value}'" for name, value in FORMATS.items())
        # By number: a column may get another name while this is at work.
        work.run(
            f"CREATE FUNCTION {note}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
            f"SET search_path = pg_catalog, pg_temp {sets} AS {literal(_noted(log))}"
        )
        shut(work)
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


def unwatch(work: Work, change: int) -> None:
    """Undo `_watch`, whichever table it is; after a dump and restore that is known by its trigger alone."""
    names = (f"{LAST}{change}", f"{LAST}{change}_t")
    for key, one in work.now.things.items():
        if key.kind == "trigger" and one["name"] in names:
            path = work.table_path(one["table"], called=str(one["name"]))
            work.run(f"DROP TRIGGER {ident(one['name'])} ON {path}")


def forget(work: Work, change: int) -> None:
    """Drop what logs the keys of rows: there is no way back any more."""
    unwatch(work, change)
    work.run(f"DROP FUNCTION IF EXISTS {ident(SCHEMA, f'{hidden(change)}_note')}()")
    work.run(f"DROP TABLE IF EXISTS {log_of(change)}")

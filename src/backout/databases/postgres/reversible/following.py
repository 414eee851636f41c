"""Values that are kept in a table beside follow their rows: to another key, away, and back where a way back makes a row again."""

from __future__ import annotations

from collections.abc import Sequence

from backout.databases.postgres.reversible.conversion import shut
from backout.databases.postgres.reversible.names import (
    HIDDEN_SCHEMA,
    LAST,
    SCHEMA,
    hidden,
    ident,
    literal,
)
from backout.databases.postgres.reversible.rows.store import FORMATS, WAY
from backout.databases.postgres.reversible.work import Work

HIDDEN = "column.hidden"
"""The kind of a column that was dropped, and is hidden."""

ASIDE = "column.aside"
"""The kind of a column that was dropped, with its values in a table beside."""


def name_of(change: int) -> str:
    """Return the name of the table that has the values, by the number of the journal row; it is in the hidden schema."""
    return f"{hidden(change)}_values"


def path_of(change: int) -> str:
    """Return its quoted name."""
    return ident(HIDDEN_SCHEMA, name_of(change))


def follow(work: Work, table: int, key: Sequence[int], change: int) -> None:
    """Have the values follow their rows: to another key, away, and back where a way back makes a row again."""
    function, trigger = ident(SCHEMA, f"{hidden(change)}_follow"), f"{LAST}{change}"
    path, columns = work.table_path(table, called="the table"), work.now.columns(table)
    names = [ident(str(columns[attnum]["name"])) for attnum in key]
    sets = " ".join(f"SET {name} = '{value}'" for name, value in FORMATS.items())
    work.run(
        f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        f"SET search_path = pg_catalog, pg_temp {sets} AS {literal(_followed(path_of(change)))}"
    )
    shut(work)
    other = " OR ".join(f"OLD.{name}::text IS DISTINCT FROM NEW.{name}::text" for name in names)
    way = f"coalesce(pg_catalog.current_setting('{WAY}', true), '') OPERATOR(pg_catalog.<>) ''"
    arguments = ", ".join(literal(str(attnum)) for attnum in key)
    for suffix, event, when in (
        ("", "AFTER DELETE", ""),
        ("_u", "AFTER UPDATE", f"WHEN ({other}) "),
        ("_i", "AFTER INSERT", f"WHEN ({way}) "),
        ("_t", "BEFORE TRUNCATE", ""),
    ):
        each = "STATEMENT" if event.endswith("TRUNCATE") else "ROW"
        name = ident(f"{trigger}{suffix}")
        work.run(
            f"CREATE TRIGGER {name} {event} ON {path} FOR EACH {each} {when}EXECUTE FUNCTION {function}({arguments})"
        )
        work.run(f"ALTER TABLE {path} ENABLE ALWAYS TRIGGER {name}")


def _followed(side: str) -> str:
    """Return the trigger's text. A new row of a key that one had before has no value: `blank` tells of its end."""
    return f"""DECLARE
  key text; was text[]; is_ text[];
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    UPDATE {side} SET gone = clock_timestamp() WHERE gone IS NULL;
    RETURN NULL;
  END IF;
  SELECT string_agg(format('($1).%I::text', a.attname), ', ' ORDER BY g.at) INTO key
  FROM unnest(TG_ARGV) WITH ORDINALITY g(attnum, at) JOIN pg_attribute a ON a.attrelid = TG_RELID AND a.attnum = g.attnum::int2;
  IF TG_OP <> 'INSERT' THEN
    EXECUTE format('SELECT ARRAY[%s]', key) INTO was USING OLD;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    EXECUTE format('SELECT ARRAY[%s]', key) INTO is_ USING NEW;
  END IF;
  IF TG_OP = 'UPDATE' THEN
    UPDATE {side} s SET k = is_ WHERE s.k = was AND s.gone IS NULL;
  ELSIF TG_OP = 'INSERT' THEN
    UPDATE {side} s SET gone = NULL, again = true WHERE s.ctid = (SELECT o.ctid FROM {side} o WHERE o.k = is_ AND o.gone IS NOT NULL ORDER BY o.gone DESC LIMIT 1);
    IF NOT FOUND THEN
      INSERT INTO {side} (k, blank, again) VALUES (is_, true, true);
    END IF;
  ELSE
    UPDATE {side} s SET gone = clock_timestamp() WHERE s.k = was AND s.gone IS NULL;
    IF NOT FOUND THEN
      INSERT INTO {side} (k, gone, blank, again) SELECT was, clock_timestamp(), true, false WHERE EXISTS (SELECT FROM {side} s WHERE s.k = was);
    END IF;
  END IF;
  RETURN NULL;
END"""


def unfollow(work: Work, change: int) -> None:
    """Let nothing follow the rows any more."""
    names = {f"{LAST}{change}{suffix}" for suffix in ("", "_u", "_i", "_t")}
    for key, one in work.now.things.items():
        if key.kind == "trigger" and one["name"] in names:
            path = work.table_path(one["table"], called=str(one["name"]))
            work.run(f"DROP TRIGGER {ident(str(one['name']))} ON {path}")
    work.run(f"DROP FUNCTION IF EXISTS {ident(SCHEMA, f'{hidden(change)}_follow')}()")

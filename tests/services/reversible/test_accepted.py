"""`fill TABLE.COLUMN = NULL`: it is accepted by name that rows written since stay without a value on the way back."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.reversible.proxy.keeper import Veto

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import schema_of

pytestmark = pytest.mark.slow

DROPPED = [
    ("text", "'old'"),  # a value is spared as a mark
    ("int", "7"),
    ("date", "'2026-01-01'"),
]


def filled(database: Database, type_: str, value: str) -> DirectLink:
    """Make a table with one row whose column has a value, as it must."""
    link = database.link()
    run(link, f"CREATE TABLE t (id int PRIMARY KEY, c {type_} NOT NULL); INSERT INTO t VALUES (1, {value})")
    return link


def required(link: DirectLink) -> str | None:
    found = link.rows("SELECT attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'c'")
    return found[0]["attnotnull"]


def values(link: DirectLink) -> list[str | None]:
    return [row["c"] for row in link.rows("SELECT c::text FROM t ORDER BY id")]


@pytest.mark.parametrize(("type_", "value"), DROPPED)
def test_a_dropped_column_comes_back_without_not_null_where_rows_have_no_value(
    database: Database, type_: str, value: str
) -> None:
    link = filled(database, type_, value)
    number = migrate(link, "ALTER TABLE t\n-- backout: fill t.c = NULL\nDROP c")
    run(link, "INSERT INTO t VALUES (2)")

    told = undo(link, number)
    assert told.residues == ["public.t.c takes NULL, as was accepted: rows written since have no value"]
    kept, *since = values(link)
    assert kept is not None and kept == value.strip("'") and since == [None]
    assert required(link) == "f"
    run(link, "UPDATE t SET id = 3 WHERE id = 2; INSERT INTO t VALUES (4, NULL)")

    redo(link, number)
    run(link, "INSERT INTO t VALUES (5); DELETE FROM t WHERE id = 3")
    undo(link, number)
    assert values(link) == [kept, None, None]


@pytest.mark.parametrize(("type_", "value"), DROPPED)
def test_where_no_row_is_without_a_value_it_comes_back_as_it_was(
    database: Database, type_: str, value: str
) -> None:
    link = filled(database, type_, value)
    before = schema_of(database.url)
    number = migrate(link, "ALTER TABLE t\n-- backout: fill t.c = null\nDROP c")
    run(link, "INSERT INTO t VALUES (2); DELETE FROM t WHERE id = 2")
    assert undo(link, number).residues == []
    assert required(link) == "t"
    assert schema_of(database.url) == before


def test_a_column_that_need_not_have_a_value_any_more(database: Database) -> None:
    link = filled(database, "text", "'old'")
    number = migrate(link, "ALTER TABLE t\n-- backout: fill t.c = NULL\nALTER c DROP NOT NULL")
    assert undo(link, number).residues == []
    assert required(link) == "t"
    redo(link, number)
    run(link, "INSERT INTO t VALUES (2)")
    told = undo(link, number)
    assert told.residues == ["public.t.c takes NULL, as was accepted: rows written since have no value"]
    assert (required(link), values(link)) == ("f", ["old", None])


@pytest.mark.parametrize("table", ["t", "u"])
@pytest.mark.parametrize("column", ["c", "d"])
def test_what_takes_null_now_is_told_by_the_name_that_it_has_then(
    database: Database, table: str, column: str
) -> None:
    link = filled(database, "text", "'old'")
    renamed = [f"ALTER TABLE t RENAME c TO {column}"] if column != "c" else []
    renamed += [f"ALTER TABLE t RENAME TO {table}"] if table != "t" else []
    script = "; ".join(["ALTER TABLE t ALTER c DROP NOT NULL", *renamed])
    number = migrate(link, script, answers={f"{table}.{column}": "NULL"})
    run(link, f"INSERT INTO {table} VALUES (2)")
    told = undo(link, number)
    assert told.residues == ["public.t.c takes NULL, as was accepted: rows written since have no value"]
    assert (required(link), values(link)) == ("f", ["old", None])


def test_a_value_that_has_to_be_put_is_still_asked_for(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, c int NOT NULL)")
    lines = "-- backout: fill t.c = NULL\n-- backout: back t.c = c::int\n"
    with pytest.raises(Veto, match=r"needs an answer for public\.t\.c"):
        migrate(link, f"ALTER TABLE t\n{lines}ALTER c TYPE text")

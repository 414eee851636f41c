"""Keys that come back over dropped columns, and rows that have a key twice in a table with hidden columns."""

from __future__ import annotations

import pytest

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import schema_of, seen

pytestmark = pytest.mark.slow

T = """CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL, b text NOT NULL DEFAULT 'b0', u uuid NOT NULL DEFAULT gen_random_uuid());
  INSERT INTO t VALUES (1, 'a1', 'b1', 'f0000000-0000-0000-0000-000000000001'), (2, 'a2', 'b1', 'f0000000-0000-0000-0000-000000000002')"""


@pytest.mark.parametrize(
    ("key", "drops", "answers"),
    [
        ("CONSTRAINT k UNIQUE (a, b)", "ALTER TABLE t DROP CONSTRAINT k", {"t.a": "'a' || id"}),
        ("CONSTRAINT k UNIQUE (a, b)", "ALTER TABLE t DROP CONSTRAINT k", {"t.a": "NULL"}),
        ("CREATE UNIQUE INDEX k ON t (b, a)", "DROP INDEX k", {"t.a": "'a' || id"}),
        ("CREATE UNIQUE INDEX k ON t (lower(a))", "DROP INDEX k", {"t.a": "'a' || id"}),
        ("CREATE UNIQUE INDEX k ON t (lower(a))", "SELECT 1", {"t.a": "'a' || id"}),
        ("CREATE UNIQUE INDEX k ON t (id) WHERE a <> b", "DROP INDEX k", {"t.a": "'a' || id"}),
        ("CONSTRAINT k UNIQUE (u)", "ALTER TABLE t DROP CONSTRAINT k", {"t.a": "''"}),
    ],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "in parts"])
def test_rows_written_since_do_not_have_a_key_twice_whose_columns_were_dropped(
    key: str, drops: str, answers: dict[str, str], at_once: bool, database: Database
) -> None:
    link = database.link()
    run(link, T + ("; ALTER TABLE t ADD " if key.startswith("CONSTRAINT") else "; ") + key)
    before, rows = schema_of(database.url), "SELECT a, b, u FROM t WHERE id < 3 ORDER BY id"
    had = seen(link, rows)
    columns = "ALTER TABLE t DROP a; ALTER TABLE t DROP b; ALTER TABLE t DROP u"
    scripts = [f"{drops}; {columns}"] if at_once else [drops, columns]
    number = migrate(link, *scripts, answers=answers)
    after = schema_of(database.url)
    run(link, "INSERT INTO t VALUES (3), (4), (5)")
    for turn in range(2):
        undo(link, number)
        assert seen(link, rows) == had
        value = "-" if answers["t.a"] == "NULL" else "a{}" if answers["t.a"] else ""
        if "id" in answers["t.a"] or value == "-":
            found = seen(link, "SELECT id, a, b FROM t WHERE id > 2 ORDER BY id")
            assert found == " | ".join(f"{n} {value.format(n)} b0" for n in range(3, 6 + turn))
        assert seen(link, "SELECT count(*) AS n, count(DISTINCT u) AS m FROM t") == f"{5 + turn} {5 + turn}"
        if value != "-":
            assert schema_of(database.url) == before
        redo(link, number)
        assert schema_of(database.url) == after
        run(link, f"INSERT INTO t VALUES ({6 + turn})")


@pytest.mark.parametrize(
    ("kind", "first", "fill"),
    [("uuid", "f0000000-0000-0000-0000-000000000001", "gen_random_uuid()"), ("int", "1", "ascii(name)")],
)
def test_a_primary_key_over_a_dropped_column_comes_back_each_time(
    kind: str, first: str, fill: str, database: Database
) -> None:
    link = database.link()
    run(link, f"CREATE TABLE team (id {kind} PRIMARY KEY, name text NOT NULL CONSTRAINT once UNIQUE)")
    run(link, f"INSERT INTO team VALUES ('{first}', 'a')")
    before = schema_of(database.url)
    number = migrate(
        link,
        "ALTER TABLE team DROP CONSTRAINT team_pkey; ALTER TABLE team DROP CONSTRAINT once; ALTER TABLE team DROP id; ALTER TABLE team ADD PRIMARY KEY (name)",
        answers={"team.id": fill},
    )
    after = schema_of(database.url)
    run(link, "INSERT INTO team (name) VALUES ('b'), ('c')")
    for _ in range(2):
        undo(link, number)
        assert schema_of(database.url) == before
        assert seen(link, "SELECT count(DISTINCT id) FROM team") == "3"
        redo(link, number)
        assert (schema_of(database.url), seen(link, "SELECT name FROM team ORDER BY 1")) == (
            after,
            "a | b | c",
        )

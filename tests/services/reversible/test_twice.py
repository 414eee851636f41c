"""Keys that come back over dropped columns, and rows that have a key twice in a table with hidden columns."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible.back import NotReversible

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import schema_of, seen
from .test_remedies import LEFT, taken_with

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


U = """CREATE TABLE u (id int PRIMARY KEY, mail text CONSTRAINT one UNIQUE, x text NOT NULL, y int NOT NULL, z int DEFAULT 7, w text, r int, g serial);
  INSERT INTO u VALUES (1, 'a', 'x1', 10, 100, 'w1', 11), (2, 'b', 'x2', 20, NULL, 'w2', 12)"""
DROPS = """ALTER TABLE u DROP CONSTRAINT one; ALTER TABLE u ADD c text; UPDATE u SET c = w; ALTER TABLE u ALTER r TYPE text USING 'n' || r;
  ALTER TABLE u DROP x; ALTER TABLE u DROP y; ALTER TABLE u DROP z; ALTER TABLE u DROP w; ALTER TABLE u DROP g"""
ANSWERS = {"u.x": "'x' || id", "u.y": "id * 10", "back u.w": "c", "back u.r": "substr(r, 2)::int"}
SINCE = "INSERT INTO u (id, mail, c, r) VALUES (3, 'a', 'w3', 'n13'), (4, 'c', 'w4', 'n14'), (5, 'c', 'w5', 'n15')"
LATER = "SELECT id, mail, c, r FROM u ORDER BY id"
EARLIER = "SELECT id, mail, x, y, z, w, r FROM u ORDER BY id"


@pytest.mark.parametrize("in_parts", [False, True], ids=["at once", "in parts"])
def test_rows_of_a_table_with_hidden_columns_are_set_aside_and_come_again_whole(
    in_parts: bool, database: Database
) -> None:
    link = database.link()
    run(link, U)
    before = schema_of(database.url)
    scripts = DROPS.split("; ", 1) if in_parts else [DROPS]
    number = migrate(link, *scripts, answers=ANSWERS)
    after = schema_of(database.url)
    run(link, SINCE + "; UPDATE u SET mail = 'a', c = 'w2b' WHERE id = 2")
    there = seen(link, LATER)
    for _ in range(2):
        taken_with(link, number, {"quarantine u": ""})
        assert schema_of(database.url) == before
        assert seen(link, EARLIER) == "1 a x1 10 100 w1 11 | 4 c x4 40 7 w4 14"
        redo(link, number)
        assert (schema_of(database.url), seen(link, LATER), seen(link, LEFT)) == (after, there, "0")
    run(link, "UPDATE u SET mail = mail || id; UPDATE u SET r = 'n99' WHERE id = 3")
    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, EARLIER) == (
        "1 a1 x1 10 100 w1 11 | 2 a2 x2 20 - w2b 12 | 3 a3 x3 30 7 w3 99 | 4 c4 x4 40 7 w4 14 | 5 c5 x5 50 7 w5 15"
    )
    assert seen(link, "SELECT count(DISTINCT g) FROM u") == "5"


def test_rows_are_set_aside_whole_when_an_earlier_migration_has_hidden_columns(database: Database) -> None:
    link = database.link()
    run(link, U)
    first = migrate(link, "ALTER TABLE u DROP x; ALTER TABLE u DROP z", answers=ANSWERS)
    second = migrate(
        link, "ALTER TABLE u DROP CONSTRAINT one; ALTER TABLE u DROP w", answers={"back u.w": "r"}
    )
    third = migrate(link, "ALTER TABLE u DROP y", answers=ANSWERS)
    run(link, "INSERT INTO u (id, mail, r) VALUES (3, 'a', 13), (4, 'd', 14)")
    rows = "SELECT id, mail, r FROM u ORDER BY id"
    there = seen(link, rows)
    with pytest.raises(NotReversible, match="a later migration has hidden columns of their table"):
        taken_with(link, second, {"quarantine u": ""})
    assert (seen(link, rows), seen(link, LEFT)) == (there, "0")
    undo(link, third)
    taken_with(link, second, {"quarantine u": ""})
    undo(link, first)
    assert seen(link, EARLIER) == "1 a x1 10 100 w1 11 | 2 b x2 20 - w2 12 | 4 d x4 40 7 14 14"
    redo(link, first)
    redo(link, second)
    assert seen(link, rows) == there
    redo(link, third)
    run(link, "UPDATE u SET mail = 'e' WHERE id = 3")
    undo(link, first, second, third)
    assert seen(link, EARLIER).startswith("1 a x1 10 100 w1 11 | 2 b x2 20 - w2 12 | 3 e x3 30 7 13 13 | 4 d")


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


def test_what_is_kept_beside_of_a_row_that_was_set_aside_is_there_when_it_comes_again(
    database: Database,
) -> None:
    link = database.link()
    run(link, U)
    before = schema_of(database.url)
    dropped = "-- backout: keep u = side-table\nALTER TABLE u DROP x"
    number = migrate(link, "ALTER TABLE u DROP CONSTRAINT one", dropped, answers={"u.x": "'x' || id"})
    run(link, "UPDATE u SET mail = 'a' WHERE id = 2; INSERT INTO u (id, mail, y) VALUES (3, 'a', 30)")
    for _ in range(2):
        taken_with(link, number, {"quarantine u": ""})
        assert seen(link, "SELECT id, mail, x FROM u ORDER BY id") == "1 a x1"
        redo(link, number)
        assert seen(link, "SELECT id, mail FROM u ORDER BY id") == "1 a | 2 a | 3 a"
    run(link, "UPDATE u SET mail = mail || id")
    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, "SELECT id, mail, x FROM u ORDER BY id") == "1 a1 x1 | 2 a2 x2 | 3 a3 x3"

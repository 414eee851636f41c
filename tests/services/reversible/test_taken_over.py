"""A column that is dropped when another of its table has its values: what is written since is in the other alone.

Attack A1: the dropped one would come back as it was, and old code would read values that nobody has any more.
"""

from __future__ import annotations

import pytest

from backout.app.migrations import Migrations
from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.finalize import finalize
from backout.databases.postgres.reversible.proxy.keeper import Veto

from .conftest import Database
from .engine import migrate, redo, run, undo
from .replaced import Case, there_and_back
from .states import changed, schema_of, seen

pytestmark = pytest.mark.slow

PEOPLE = """
CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, age text);
INSERT INTO people VALUES (1, 'Ada Love', '36'), (2, 'Bob Ross', '52'), (3, 'Cy Young', NULL);
"""
COPY = "ALTER TABLE people ADD COLUMN called text; UPDATE people SET called = name; ALTER TABLE people DROP COLUMN name"
NEW_NAMES = "UPDATE people SET called = 'Ada King' WHERE id = 1; DELETE FROM people WHERE id = 2; INSERT INTO people (id, age, called) VALUES (4, '9', 'Dan')"
OLD_NAMES = "UPDATE people SET name = 'Cy Old' WHERE id = 3; INSERT INTO people (id, name) VALUES (5, 'Eve')"
SPLIT = (
    "ALTER TABLE people ADD COLUMN first text, ADD COLUMN last text; "
    "UPDATE people SET first = split_part(name, ' ', 1), last = split_part(name, ' ', 2)"
)

CASES = {
    "copied": Case(
        PEOPLE,
        (COPY,),
        NEW_NAMES,
        "SELECT id, name, age FROM people ORDER BY id",
        "1 Ada King 36 | 3 Cy Young - | 4 Dan 9",
        OLD_NAMES,
        "SELECT id, called FROM people ORDER BY id",
        "1 Ada King | 3 Cy Old | 4 Dan | 5 Eve",
    ),
    "copied_and_renamed_to_it": Case(
        PEOPLE,
        (
            COPY.replace("called", "name_new")
            + "; ALTER TABLE people RENAME name_new TO name; ALTER TABLE people ALTER name SET NOT NULL",
        ),
        NEW_NAMES.replace("called", "name"),
        "SELECT id, name, age FROM people ORDER BY id",
        "1 Ada King 36 | 3 Cy Young - | 4 Dan 9",
        OLD_NAMES,
        "SELECT id, name FROM people ORDER BY id",
        "1 Ada King | 3 Cy Old | 4 Dan | 5 Eve",
    ),
    "copied_in_several_transactions": Case(
        PEOPLE,
        tuple(COPY.split("; ")),
        NEW_NAMES,
        "SELECT id, name, age FROM people ORDER BY id",
        "1 Ada King 36 | 3 Cy Young - | 4 Dan 9",
        OLD_NAMES,
        "SELECT id, called FROM people ORDER BY id",
        "1 Ada King | 3 Cy Old | 4 Dan | 5 Eve",
    ),
    "copied_as_another_type": Case(
        PEOPLE,
        (
            "ALTER TABLE people ADD COLUMN years int; UPDATE people SET years = age::int WHERE age IS NOT NULL; ALTER TABLE people DROP age",
        ),
        "UPDATE people SET years = 37 WHERE id = 1; INSERT INTO people (id, name, years) VALUES (4, 'Dan', 9); UPDATE people SET years = NULL WHERE id = 2",
        "SELECT id, age FROM people ORDER BY id",
        "1 37 | 2 - | 3 - | 4 9",
        "UPDATE people SET age = '40' WHERE id = 3; INSERT INTO people (id, name, age) VALUES (5, 'Eve', '5')",
        "SELECT id, years FROM people ORDER BY id",
        "1 37 | 2 - | 3 40 | 4 9 | 5 5",
    ),
    "split": Case(
        PEOPLE,
        (
            f"{SPLIT}; ALTER TABLE people\n-- backout: back people.name = concat_ws(' ', first, last)\nDROP COLUMN name",
        ),
        "UPDATE people SET last = 'King' WHERE id = 1; DELETE FROM people WHERE id = 2; INSERT INTO people (id, age, first, last) VALUES (4, '9', 'Dan', 'Oz')",
        "SELECT id, name FROM people ORDER BY id",
        "1 Ada King | 3 Cy Young | 4 Dan Oz",
        "UPDATE people SET name = 'Cy Old' WHERE id = 3; INSERT INTO people (id, name) VALUES (5, 'Eve Pi')",
        "SELECT id, first, last FROM people ORDER BY id",
        "1 Ada King | 3 Cy Old | 4 Dan Oz | 5 Eve Pi",
    ),
    "merged": Case(
        "CREATE TABLE people (id int PRIMARY KEY, first text NOT NULL DEFAULT '', last text); "
        "INSERT INTO people VALUES (1, 'Ada', 'Love'), (2, 'Bob', 'Ross'), (3, 'Cy', 'Young')",
        (
            ("ALTER TABLE people ADD COLUMN name text; UPDATE people SET name = first || ' ' || last; ALTER TABLE people\n"
            "-- backout: back people.first = split_part(name, ' ', 1)\n-- backout: back people.last = split_part(name, ' ', 2)\n"
            "DROP COLUMN first, DROP COLUMN last"),
        ),
        "UPDATE people SET name = 'Ada King' WHERE id = 1; INSERT INTO people (id, name) VALUES (4, 'Dan Oz')",
        "SELECT id, first, last FROM people ORDER BY id",
        "1 Ada King | 2 Bob Ross | 3 Cy Young | 4 Dan Oz",
        "UPDATE people SET last = 'Old' WHERE id = 3; INSERT INTO people (id, first, last) VALUES (5, 'Eve', 'Pi')",
        "SELECT id, name FROM people ORDER BY id",
        "1 Ada King | 2 Bob Ross | 3 Cy Old | 4 Dan Oz | 5 Eve Pi",
    ),
    "dropped_and_made_anew_through_another": Case(
        PEOPLE,
        (
            ("ALTER TABLE people ADD COLUMN tmp text; UPDATE people SET tmp = age; ALTER TABLE people DROP COLUMN age; "
            "ALTER TABLE people ADD COLUMN age int; UPDATE people SET age = tmp::int; ALTER TABLE people DROP COLUMN tmp"),
        ),
        "UPDATE people SET age = 37 WHERE id = 1; INSERT INTO people (id, name, age) VALUES (4, 'Dan', 9)",
        "SELECT id, age FROM people ORDER BY id",
        "1 37 | 2 52 | 3 - | 4 9",
        "UPDATE people SET age = '40' WHERE id = 3; INSERT INTO people (id, name, age) VALUES (5, 'Eve', '5')",
        "SELECT id, age FROM people ORDER BY id",
        "1 37 | 2 52 | 3 40 | 4 9 | 5 5",
    ),
    "unique": Case(
        "CREATE TABLE people (id int PRIMARY KEY, mail text NOT NULL UNIQUE); INSERT INTO people VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        (
            ("ALTER TABLE people ADD COLUMN email text; UPDATE people SET email = mail; ALTER TABLE people ALTER email SET NOT NULL; "
            "ALTER TABLE people ADD UNIQUE (email); ALTER TABLE people DROP mail"),
        ),
        "UPDATE people SET email = 'x' WHERE id = 1; UPDATE people SET email = 'a' WHERE id = 2; UPDATE people SET email = 'b' WHERE id = 1; "
        "INSERT INTO people (id, email) VALUES (4, 'd')",
        "SELECT id, mail FROM people ORDER BY id",
        "1 b | 2 a | 3 c | 4 d",
        "UPDATE people SET mail = 'C' WHERE id = 3; INSERT INTO people (id, mail) VALUES (5, 'e')",
        "SELECT id, email FROM people ORDER BY id",
        "1 b | 2 a | 3 C | 4 d | 5 e",
    ),
    "filled_beside_it_by_a_constant": Case(
        PEOPLE,
        (
            "ALTER TABLE people ADD COLUMN active boolean; UPDATE people SET active = true; ALTER TABLE people DROP COLUMN age",
        ),
        "UPDATE people SET active = false WHERE id = 1; INSERT INTO people (id, name, active) VALUES (4, 'Dan', true)",
        "SELECT id, age FROM people ORDER BY id",
        "1 36 | 2 52 | 3 - | 4 -",
        "UPDATE people SET age = '40' WHERE id = 3; INSERT INTO people (id, name, age) VALUES (5, 'Eve', '5')",
        "SELECT id, active FROM people ORDER BY id",
        "1 f | 2 t | 3 t | 4 t | 5 t",
    ),
    "as_it_was_dropped_by_answer": Case(
        PEOPLE,
        (
            "ALTER TABLE people ADD COLUMN old boolean; UPDATE people SET old = age > '40'; ALTER TABLE people\n-- backout: back people.age = age\nDROP COLUMN age",
        ),
        "UPDATE people SET old = true WHERE id = 1; INSERT INTO people (id, name, old) VALUES (4, 'Dan', true)",
        "SELECT id, age FROM people ORDER BY id",
        "1 36 | 2 52 | 3 - | 4 -",
        "UPDATE people SET age = '41' WHERE id = 3; INSERT INTO people (id, name, age) VALUES (5, 'Eve', '5')",
        "SELECT id, old FROM people ORDER BY id",
        "1 t | 2 t | 3 t | 4 t | 5 t",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a1_what_is_written_since_comes_back(name: str, database: Database) -> None:
    there_and_back(CASES[name], database)


NUMBERED = """
CREATE TABLE people (id {0} PRIMARY KEY, name text);
CREATE TABLE pets (id int PRIMARY KEY, owner int CONSTRAINT owned REFERENCES people);
INSERT INTO people (name) VALUES ('a'), ('b'), ('c'); INSERT INTO pets VALUES (1, 1), (2, 3);
"""
NUMBERS = "CREATE SEQUENCE people_id_seq2 START 4 OWNED BY people.id; ALTER TABLE people ALTER id SET DEFAULT nextval('people_id_seq2')"


@pytest.mark.parametrize(
    "kind", ["serial", "int GENERATED ALWAYS AS IDENTITY", "bigint GENERATED BY DEFAULT AS IDENTITY"]
)
def test_a_key_that_numbers_itself_is_copied_and_no_number_is_given_twice(
    kind: str, database: Database
) -> None:
    link = database.link()
    run(link, NUMBERED.format(kind))
    before = schema_of(database.url)
    number = migrate(
        link,
        "ALTER TABLE people ADD COLUMN id_new bigint; UPDATE people SET id_new = id; ALTER TABLE people DROP COLUMN id CASCADE; "
        f"ALTER TABLE people RENAME id_new TO id; ALTER TABLE people ALTER id SET NOT NULL; {NUMBERS}; "
        "ALTER TABLE people ADD PRIMARY KEY (id); ALTER TABLE pets ADD CONSTRAINT owned FOREIGN KEY (owner) REFERENCES people",
    )
    after = schema_of(database.url)
    look = "SELECT id, name FROM people ORDER BY id"
    run(
        link,
        "INSERT INTO people (name) VALUES ('d'), ('e'); DELETE FROM people WHERE name = 'e'; INSERT INTO pets VALUES (9, 4)",
    )

    undo(link, number)
    assert changed(before, schema_of(database.url)) == []
    assert seen(link, look) == "1 a | 2 b | 3 c | 4 d"
    run(link, "INSERT INTO people (name) VALUES ('f'); INSERT INTO pets VALUES (10, 6)")
    assert seen(link, look).endswith("| 4 d | 6 f")

    redo(link, number)
    assert changed(after, schema_of(database.url)) == []
    run(link, "INSERT INTO people (name) VALUES ('g')")
    assert seen(link, look) == "1 a | 2 b | 3 c | 4 d | 6 f | 7 g"

    undo(link, number)
    assert changed(before, schema_of(database.url)) == []
    assert seen(link, look) == "1 a | 2 b | 3 c | 4 d | 6 f | 7 g"
    assert seen(link, "SELECT id, owner FROM pets ORDER BY id") == "1 1 | 2 3 | 9 4 | 10 6"


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_left_when_it_is_finalized(name: str, database: Database) -> None:
    case, link = CASES[name], database.link()
    run(link, case.before)
    number = migrate(link, *case.up)
    after = schema_of(database.url)
    finalize(link, [m for m in journal.migrations(link) if m.id == number], patience_s=5, dry_run=False)
    assert changed(after, schema_of(database.url)) == []
    left = (
        "SELECT (SELECT count(*) FROM pg_attribute WHERE attname ~ '_bo_' AND attnum > 0 AND NOT attisdropped) AS columns, "
        "(SELECT count(*) FROM pg_trigger WHERE tgname ~ '_bo_') AS triggers, "
        "(SELECT count(*) FROM pg_proc WHERE proname ~ '_bo_[0-9]+_down') AS functions"
    )
    assert seen(link, left) == "0 0 0"


@pytest.mark.parametrize(
    ("up", "takers"),
    [
        (f"{SPLIT}; ALTER TABLE people DROP COLUMN name", "public.people.first, public.people.last"),
        (COPY.replace("= name", "= upper(name)"), "public.people.called"),
        (COPY.replace("= name", "= p.name FROM people p WHERE p.id = people.id"), "public.people.called"),
        (
            "ALTER TABLE people ADD COLUMN called text; DO $$BEGIN UPDATE people SET called = name; END$$; ALTER TABLE people DROP COLUMN name",
            "public.people.called",
        ),
    ],
)  # fmt: skip
def test_an_answer_is_asked_for_where_nobody_can_compute_it(up: str, takers: str, database: Database) -> None:
    link = database.link()
    run(link, PEOPLE)
    with pytest.raises(Veto) as raised:
        migrate(link, up)
    assert raised.value.message == "backout needs an answer for public.people.name"
    assert f"fills {takers} from it" in raised.value.detail
    assert "-- backout: back people.name = EXPR" in str(raised.value.hint)


def test_what_cannot_be_computed_is_kept_and_told(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL); INSERT INTO t VALUES (1, 1), (2, 2)")
    number = migrate(
        link,
        "ALTER TABLE t ADD m text; UPDATE t SET m = n::text; ALTER TABLE t\n-- backout: back t.n = m::int\nDROP n",
    )
    run(link, "UPDATE t SET m = 'many' WHERE id = 1; INSERT INTO t (id, m) VALUES (3, '3'), (4, NULL)")

    outcome = undo(link, number)
    assert seen(link, "SELECT id, n FROM t ORDER BY id") == "1 - | 2 2 | 3 3 | 4 -"
    assert any("public.t.n has 1 value written since" in one for one in outcome.residues)
    assert any("public.t.n takes NULL" in one for one in outcome.residues)

    redo(link, number)
    assert seen(link, "SELECT id, m FROM t ORDER BY id") == "1 many | 2 2 | 3 3 | 4 -"


def test_the_default_stands_in_where_it_gives_none(database: Database) -> None:
    link = database.link()
    run(
        link,
        "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 7); INSERT INTO t VALUES (1, 1), (2, 2)",
    )
    number = migrate(link, "ALTER TABLE t ADD m int; UPDATE t SET m = n; ALTER TABLE t DROP n")
    before = "SELECT attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'n'"
    run(link, "UPDATE t SET m = NULL WHERE id = 1; INSERT INTO t (id, m) VALUES (3, 3), (4, NULL)")
    undo(link, number)
    assert seen(link, "SELECT id, n FROM t ORDER BY id") == "1 7 | 2 2 | 3 3 | 4 7"
    assert seen(link, before) == "t"


def test_status_tells_how_many_rows_get_a_value_from_others(database: Database) -> None:
    link = database.link()
    run(link, PEOPLE)
    migrate(link, COPY)
    run(link, NEW_NAMES)
    told = [one for one in Migrations(database.url).status().rows if one.kind == "filled"]
    assert [(one.what, one.value, one.rows) for one in told] == [("public.people.name", "called", 2)]


def test_only_rows_written_since_are_looked_at(database: Database) -> None:
    link = database.link()
    run(
        link,
        "CREATE TABLE t (id int PRIMARY KEY, n text); INSERT INTO t SELECT i, i FROM generate_series(1, 2000) i",
    )
    migrate(link, "ALTER TABLE t ADD m text; UPDATE t SET m = n; ALTER TABLE t DROP n")
    run(link, "UPDATE t SET m = 'x' WHERE id = 5")
    mark = link.rows(
        "SELECT attname AS a FROM pg_attribute WHERE attrelid = 't'::regclass AND attname ~ '_m$'"
    )[0]["a"]
    run(link, "SET enable_seqscan = off")
    plan = str(link.rows(f"EXPLAIN UPDATE t SET m = m WHERE {mark}"))
    assert "Index" in plan
    assert "Seq Scan" not in plan

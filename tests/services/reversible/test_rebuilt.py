"""A table that is built anew by its migration: create, INSERT SELECT, drop, rename. What is written since is in the new one alone.

Attack A2: the dropped one would come back as of the deploy, and all inserts, updates and deletes since would be out of sight.
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

GOODS = """
CREATE TABLE goods (id serial PRIMARY KEY, name text NOT NULL, price int NOT NULL, note text);
CREATE TABLE sold (id int PRIMARY KEY, good int REFERENCES goods ON DELETE CASCADE);
INSERT INTO goods (name, price, note) VALUES ('a', 10, 'x'), ('b', 20, NULL), ('c', 30, 'z');
INSERT INTO sold VALUES (1, 1), (2, 3);
"""
MAKE = "CREATE TABLE goods_new (id int PRIMARY KEY, price bigint NOT NULL, name text NOT NULL, stock int NOT NULL DEFAULT 5)"
POUR = "INSERT INTO goods_new (id, name, price) SELECT id, name, price FROM goods"
DROP = "DROP TABLE goods CASCADE"
RENAME = "ALTER TABLE goods_new RENAME TO goods; ALTER TABLE sold ADD FOREIGN KEY (good) REFERENCES goods ON DELETE CASCADE"
NEW = """
UPDATE goods SET price = 11 WHERE id = 1; DELETE FROM goods WHERE id = 2;
INSERT INTO goods (id, name, price) VALUES (4, 'd', 40), (5, 'e', 50); UPDATE goods SET stock = 9 WHERE id = 3; DELETE FROM goods WHERE id = 5;
"""
OLD = "UPDATE goods SET price = 12, note = 'y' WHERE id = 1; INSERT INTO goods (name, price) VALUES ('f', 60); DELETE FROM goods WHERE id = 4"
LOOK = "SELECT id, name, price, note FROM goods ORDER BY id"
BACK = "1 a 11 x | 3 c 30 z | 4 d 40 -"
AHEAD = "SELECT id, name, price, stock FROM goods ORDER BY id"
FORTH = "1 a 12 5 | 3 c 30 9 | 6 f 60 5"

CASES = {
    "in_one_transaction": Case(GOODS, (f"{MAKE}; {POUR}; {DROP}; {RENAME}",), NEW, LOOK, BACK, OLD, AHEAD, FORTH),
    "in_several": Case(GOODS, (MAKE, POUR, f"{DROP}; {RENAME}"), NEW, LOOK, BACK, OLD, AHEAD, FORTH),
    "the_old_one_renamed_first": Case(
        GOODS,
        (
            ("ALTER TABLE goods RENAME TO goods_old; "
            f"{MAKE.replace('goods_new', 'goods')}; INSERT INTO goods (id, name, price) SELECT id, name, price FROM goods_old; "
            "DROP TABLE goods_old CASCADE; ALTER TABLE sold ADD FOREIGN KEY (good) REFERENCES goods ON DELETE CASCADE"),
        ),
        NEW, LOOK, BACK, OLD, AHEAD, FORTH,
    ),
    "with_values_computed": Case(
        GOODS,
        (
            (f"{MAKE}; INSERT INTO goods_new (id, name, price) SELECT id, upper(name), price * 100 FROM goods; DROP TABLE sold;\n"
            "-- backout: back goods.price = price / 100\n-- backout: back goods.name = lower(name)\nDROP TABLE goods; ALTER TABLE goods_new RENAME TO goods"),
        ),
        "UPDATE goods SET price = 1100 WHERE id = 1; DELETE FROM goods WHERE id = 2; INSERT INTO goods (id, name, price) VALUES (4, 'D', 4000)",
        LOOK,
        BACK,
        "UPDATE goods SET price = 12 WHERE id = 1; INSERT INTO goods (name, price) VALUES ('e', 50)",
        AHEAD,
        "1 A 1200 5 | 3 C 3000 5 | 4 D 4000 5 | 5 E 5000 5",
    ),
    "as_select": Case(
        GOODS,
        (
            ("CREATE TABLE g2 AS SELECT * FROM goods; ALTER TABLE g2 ADD PRIMARY KEY (id); ALTER TABLE g2 ADD COLUMN stock int DEFAULT 5; "
            f"{DROP}; ALTER TABLE g2 RENAME TO goods"),
        ),
        NEW,
        LOOK,
        "1 a 11 x | 3 c 30 z | 4 d 40 -",
        OLD,
        AHEAD,
        "1 a 12 5 | 3 c 30 9 | 6 f 60 5",
    ),
    "keys_of_two_columns_and_a_truncate": Case(
        "CREATE TABLE goods (a text, b date, v int, PRIMARY KEY (a, b)); INSERT INTO goods VALUES ('x''y', '2020-01-02', 1), ('z', '2020-02-01', 2)",
        ("CREATE TABLE n (b date, a text, v int, UNIQUE (b, a)); INSERT INTO n SELECT b, a, v FROM goods; DROP TABLE goods; ALTER TABLE n RENAME TO goods",),
        "SET DateStyle = 'SQL, DMY'; UPDATE goods SET v = 9 WHERE a = 'z'; TRUNCATE goods; INSERT INTO goods VALUES ('2021-03-04', 'q', 7)",
        "SELECT a, extract(year FROM b) AS y, extract(month FROM b) AS m, extract(day FROM b) AS d, v FROM goods ORDER BY a",
        "q 2021 3 4 7",
        "UPDATE goods SET a = 'qq'; INSERT INTO goods VALUES ('r', '2020-01-01', 8)",
        "SELECT a, extract(year FROM b) AS y, extract(month FROM b) AS m, extract(day FROM b) AS d, v FROM goods ORDER BY a",
        "qq 2021 3 4 7 | r 2020 1 1 8",
    ),
    "unique_values_change_places": Case(
        "CREATE TABLE goods (id int PRIMARY KEY, u text UNIQUE); INSERT INTO goods VALUES (1, 'a'), (2, 'b')",
        ("CREATE TABLE n (id int PRIMARY KEY, u text UNIQUE); INSERT INTO n SELECT * FROM goods; DROP TABLE goods; ALTER TABLE n RENAME TO goods",),
        "UPDATE goods SET u = 'x' WHERE id = 1; UPDATE goods SET u = 'a' WHERE id = 2; UPDATE goods SET u = 'b' WHERE id = 1",
        "SELECT * FROM goods ORDER BY id",
        "1 b | 2 a",
        "UPDATE goods SET id = 3 WHERE id = 1; UPDATE goods SET id = 1 WHERE id = 2",
        "SELECT * FROM goods ORDER BY id",
        "1 a | 3 b",
    ),
    "only_some_rows": Case(
        GOODS,
        (f"{MAKE}; {POUR} WHERE price < 25; {DROP}; ALTER TABLE goods_new RENAME TO goods",),
        "UPDATE goods SET price = 11 WHERE id = 1; INSERT INTO goods (id, name, price) VALUES (4, 'd', 40)",
        LOOK,
        "1 a 11 x | 2 b 20 - | 3 c 30 z | 4 d 40 -",
        "UPDATE goods SET price = 12 WHERE id = 1",
        AHEAD,
        "1 a 12 5 | 2 b 20 5 | 4 d 40 5",
    ),
    "rows_picked_by_a_window": Case(
        GOODS,
        (
            (f"{MAKE}; INSERT INTO goods_new (id, name, price) SELECT s.id, name, cost FROM (SELECT id, name, price AS cost, "
            "row_number() OVER (PARTITION BY id ORDER BY note) AS n FROM goods WHERE name IS NOT NULL) s WHERE n = 1; "
            f"{DROP}; {RENAME}"),
        ),
        NEW, LOOK, BACK, OLD, AHEAD, FORTH,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a2_what_is_written_since_comes_back(name: str, database: Database) -> None:
    there_and_back(CASES[name], database)


@pytest.mark.parametrize("undone", [False, True])
def test_nothing_is_left_when_it_is_finalized(undone: bool, database: Database) -> None:
    link = database.link()
    run(link, GOODS)
    number = migrate(link, *CASES["in_one_transaction"].up)
    if undone:
        undo(link, number)
    after = schema_of(database.url)
    finalize(link, [m for m in journal.migrations(link) if m.id == number], patience_s=5, dry_run=False)
    assert changed(after, schema_of(database.url)) == []
    left = (
        "SELECT (SELECT count(*) FROM pg_class WHERE relname ~ '_bo_[0-9]') AS tables, "
        "(SELECT count(*) FROM pg_trigger WHERE tgname ~ '_bo_') AS triggers, "
        "(SELECT count(*) FROM pg_proc WHERE proname ~ '_bo_[0-9]') AS functions"
    )
    assert seen(link, left) == "0 0 0"


def test_the_application_writes_without_a_right_to_the_log(database: Database) -> None:
    link = database.link()
    run(link, GOODS)
    number = migrate(link, *CASES["in_one_transaction"].up)
    run(link, "GRANT ALL ON goods TO other; GRANT USAGE ON SCHEMA public TO other")
    run(link, "SET ROLE other")
    run(
        link,
        "UPDATE goods SET price = 11 WHERE id = 1; RESET ROLE; ALTER TABLE goods RENAME id TO number; UPDATE goods SET price = 21 WHERE number = 2",
    )
    run(link, "ALTER TABLE goods RENAME number TO id")
    undo(link, number)
    assert seen(link, "SELECT id, price FROM goods ORDER BY id") == "1 11 | 2 21 | 3 30"


def test_what_logs_the_keys_is_its_owners_alone_whatever_default_privileges_say(database: Database) -> None:
    link = database.link()
    run(link, GOODS)
    run(
        link,
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO other; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO other",
    )
    migrate(link, *CASES["in_one_transaction"].up)
    tables = "SELECT bool_or(has_table_privilege('other', c.oid, 'SELECT, INSERT')) AS may FROM pg_class c WHERE relname ~ '_keys$'"
    functions = "SELECT bool_or(has_function_privilege('other', p.oid, 'EXECUTE')) AS may FROM pg_proc p WHERE proname ~ '_note$'"
    assert (seen(link, tables), seen(link, functions)) == ("f", "f")


def test_rows_that_the_earlier_table_cannot_hold_are_kept_and_told(database: Database) -> None:
    link = database.link()
    run(link, GOODS)
    number = migrate(link, *CASES["in_one_transaction"].up)
    run(link, "UPDATE goods SET price = 3000000000 WHERE id = 1; UPDATE goods SET price = 31 WHERE id = 3")
    outcome = undo(link, number)
    assert seen(link, LOOK) == "1 a 10 x | 2 b 20 - | 3 c 31 z"
    assert [one for one in outcome.residues if "public.goods has 1 row written since not as" in one]
    redo(link, number)
    assert seen(link, AHEAD) == "1 a 3000000000 5 | 2 b 20 5 | 3 c 31 5"


def test_status_tells_how_many_rows_come_back(database: Database) -> None:
    link = database.link()
    run(link, GOODS)
    migrate(link, *CASES["in_one_transaction"].up)
    run(link, NEW)
    told = [one for one in Migrations(database.url).status().rows if one.kind == "brought"]
    assert [(one.what, one.value, one.rows) for one in told] == [("public.goods", "public.goods_new", 5)]


def test_seeds_beside_a_table_that_goes_are_nothing_of_it(database: Database) -> None:
    link = database.link()
    run(link, GOODS)
    number = migrate(
        link,
        "CREATE TABLE kinds (id int PRIMARY KEY, name text); INSERT INTO kinds VALUES (1, 'k'); DROP TABLE sold",
    )
    undo(link, number)
    assert seen(link, "SELECT * FROM sold ORDER BY id") == "1 1 | 2 3"


def test_a_column_that_goes_to_another_table_is_told(database: Database) -> None:
    link = database.link()
    run(link, GOODS)
    number = migrate(
        link,
        "CREATE TABLE notes (good int PRIMARY KEY, note text); INSERT INTO notes SELECT id, note FROM goods; ALTER TABLE goods DROP COLUMN note",
    )
    outcome = undo(link, number)
    told = (
        "public.goods.note is as it was dropped: what was written to public.notes since is hidden with that"
    )
    assert told in outcome.residues


@pytest.mark.parametrize(
    ("up", "why"),
    [
        (f"{MAKE}; {POUR}; INSERT INTO goods_new SELECT 7, 1, 'g', 1 FROM goods LIMIT 1; {DROP}", "more than one statement"),
        (f"{MAKE}; INSERT INTO goods_new (id, name, price) SELECT g.id, name, price FROM goods g JOIN sold ON good = g.id; {DROP}", "one by one"),
        (f"{MAKE}; INSERT INTO goods_new (id, name, price) SELECT id, name, n FROM (SELECT id, name, row_number() OVER () AS n FROM goods) s; {DROP}", "one by one"),
        (f"{MAKE}; INSERT INTO goods_new (id, name, price) SELECT id, name, price FROM (SELECT id, name, price FROM goods UNION SELECT id, name, price FROM goods) s; {DROP}", "one by one"),
        (f"{MAKE}; INSERT INTO goods_new (id, name, price) SELECT id, name, price FROM (SELECT max(id) AS id, name, min(price) AS price FROM goods GROUP BY name) s; {DROP}", "one by one"),
        (f"{MAKE}; INSERT INTO goods_new (id, name, price) SELECT id, name, price + 1 FROM (SELECT id, name, price FROM goods) s; {DROP}", "one by one"),
        (f"{MAKE}; INSERT INTO goods_new (id, name, price) SELECT id + 1, name, price FROM goods; {DROP}", "no primary key"),
        (f"{MAKE.replace(' PRIMARY KEY', '')}; {POUR}; {DROP}", "no unique key"),
        (f"{MAKE}; DO $$BEGIN {POUR}; END$$; {DROP}", "one by one"),
        (f"CREATE TEMP TABLE x AS SELECT * FROM goods; {DROP}; {MAKE}; INSERT INTO goods_new (id, name, price) SELECT id, name, price FROM x", "not each of its rows"),
        (f"{MAKE}; SELECT * FROM goods; INSERT INTO goods_new (id, name, price) VALUES (1, 'a', 10); {DROP}", "one by one"),
        (f"{MAKE}; {POUR}; ALTER TABLE goods_new RENAME name TO title; {DROP}", "other names since it was filled"),
        (f"{MAKE}; {POUR}; {DROP}; UPDATE goods_new SET name = 'n'; ALTER TABLE goods_new RENAME name TO title", "the migration has changed title there since"),
        (f"{MAKE}; {POUR}; {DROP}; UPDATE goods_new SET name = 'n'", "the migration has changed name there since"),
    ],
)  # fmt: skip
def test_what_cannot_be_paired_is_refused(up: str, why: str, database: Database) -> None:
    link = database.link()
    run(link, GOODS)
    with pytest.raises(Veto) as raised:
        migrate(link, up)
    assert raised.value.message.startswith(
        "backout cannot undo dropping public.goods, which the same migration fills "
    )
    assert why in raised.value.detail
    assert seen(link, LOOK) == "1 a 10 x | 2 b 20 - | 3 c 30 z"


def test_an_answer_is_asked_for_where_nobody_can_compute_it(database: Database) -> None:
    link = database.link()
    run(link, GOODS)
    with pytest.raises(Veto) as raised:
        migrate(
            link,
            f"{MAKE}; INSERT INTO goods_new (id, name, price) SELECT id, name, price * 100 FROM goods; {DROP}",
        )
    assert raised.value.message == "backout needs an answer for public.goods.price"
    assert "-- backout: back goods.price = EXPR" in str(raised.value.hint)


@pytest.mark.parametrize(
    "pour",
    [
        f"{POUR} WHERE id < 3; {POUR} WHERE id = 3",
        f"DO $$BEGIN {POUR}; END$$",
        "SELECT * FROM goods; INSERT INTO goods_new (id, name, price) VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30)",
    ],
)
def test_it_may_be_accepted_that_the_dropped_one_comes_back_as_it_was(pour: str, database: Database) -> None:
    link = database.link()
    run(link, GOODS)
    before, rows = schema_of(database.url), "1 a 10 x | 2 b 20 - | 3 c 30 z"
    with pytest.raises(Veto) as raised:
        migrate(link, f"{MAKE}; {pour}; {DROP}; {RENAME}")
    assert "-- backout: back goods = goods" in str(raised.value.hint)
    with pytest.raises(Veto, match=r"cannot use the answer for public\.goods: price"):
        migrate(link, f"{MAKE}; {pour}; {DROP}; {RENAME}", answers={"back goods": "price"})
    number = migrate(link, f"{MAKE}; {pour};\n-- backout: back goods = goods\n{DROP}; {RENAME}")
    after = schema_of(database.url)
    run(link, NEW)
    since = seen(link, AHEAD)
    told = [one for one in Migrations(database.url).status().rows if one.kind == "apart"]
    assert [(one.what, one.value) for one in told] == [("public.goods", "public.goods")]
    outcome = undo(link, number)
    assert any("public.goods is as it was dropped: what was written to public.goods since" in one for one in outcome.residues)  # fmt: skip
    assert (schema_of(database.url), seen(link, LOOK)) == (before, rows)
    run(link, OLD)
    meanwhile = seen(link, LOOK)
    outcome = redo(link, number)
    assert any("public.goods is hidden with what was written to it meanwhile" in one for one in outcome.residues)  # fmt: skip
    assert (schema_of(database.url), seen(link, AHEAD)) == (after, since)
    undo(link, number)
    assert (schema_of(database.url), seen(link, LOOK)) == (before, meanwhile)


def test_what_takes_its_rows_after_it_was_dropped_is_refused_though_it_was_accepted(
    database: Database,
) -> None:
    link = database.link()
    run(link, GOODS)
    with pytest.raises(Veto, match=r"which the same migration fills public\.goods_new from"):
        migrate(
            link,
            f"CREATE TEMP TABLE x AS SELECT * FROM goods; {DROP}; {MAKE}; INSERT INTO goods_new (id, name, price) SELECT id, name, price FROM x",
            answers={"back goods": "goods"},
        )


def test_a_table_whose_key_was_dropped_before_it_was_built_anew_is_kept_the_same_as_the_new_one(
    database: Database,
) -> None:
    link = database.link()
    run(
        link,
        "CREATE TABLE f (id int CONSTRAINT f_pkey PRIMARY KEY, n text CONSTRAINT f_n UNIQUE, u timestamp); "
        "INSERT INTO f VALUES (1, 'a', '2020-01-01'), (2, 'b', now())",
    )
    before = schema_of(database.url)
    number = migrate(
        link,
        """ALTER TABLE f DROP CONSTRAINT f_pkey; ALTER TABLE f DROP CONSTRAINT f_n;
        CREATE TABLE g (id int NOT NULL, n text, u timestamp, CONSTRAINT f_pkey PRIMARY KEY (id), CONSTRAINT f_nu UNIQUE (n, id));
        INSERT INTO g (id, n, u) SELECT f.id, f.n, f.u FROM f; DROP TABLE f; ALTER TABLE g RENAME TO f""",
    )
    after, rows = schema_of(database.url), "SELECT id, n FROM f ORDER BY id"
    run(link, "UPDATE f SET n = 'A' WHERE id = 1; INSERT INTO f VALUES (3, 'c'); DELETE FROM f WHERE id = 2")
    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, rows) == "1 A | 3 c"
    run(link, "UPDATE f SET n = 'AA' WHERE id = 1; INSERT INTO f VALUES (4, 'd'); DELETE FROM f WHERE id = 3")
    redo(link, number)
    assert schema_of(database.url) == after
    assert seen(link, rows) == "1 AA | 4 d"

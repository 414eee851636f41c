"""Static DO blocks as drizzle-kit writes them: several in one transaction, for things that are new and that are there already."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.link import LinkError
from backout.databases.postgres.reversible.proxy.keeper import Veto

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import catalog_of, schema_of, seen
from .test_savepoints import migrating

pytestmark = pytest.mark.slow

BEFORE = """CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, p int, x int);
INSERT INTO p VALUES (1); INSERT INTO t VALUES (1, 1, 1)"""
BLOCK = "DO $$ BEGIN\n {0};\nEXCEPTION\n WHEN {1} THEN null;\nEND $$;\n"
BLOCKS = "".join(
    BLOCK.format(statement, "duplicate_column" if "COLUMN" in statement else "duplicate_object")
    for statement in (
        "CREATE TYPE \"public\".\"mood\" AS ENUM('ok', 'bad')",
        'ALTER TABLE "t" ADD COLUMN "m" "mood" DEFAULT \'ok\' NOT NULL',
        'ALTER TABLE "t" ADD CONSTRAINT "t_p_fk" FOREIGN KEY ("p") REFERENCES "public"."p"("id") ON DELETE no action',
    )
)


@pytest.mark.parametrize("apart", [False, True], ids=["one transaction", "one each"])
def test_several_go_back_and_forward_and_do_nothing_where_all_is_there(
    database: Database, apart: bool
) -> None:
    link = database.link()
    run(link, BEFORE)
    before = schema_of(database.url)
    scripts = [f"{one}END $$;" for one in BLOCKS.split("END $$;")[:-1]] if apart else [BLOCKS + BLOCKS]
    number = migrate(link, *scripts)
    kinds = {one.kind for one in journal.entries(link, (number,), "applied")}
    assert kinds == {"type.added", "column.added", "constraint.added"}
    after = schema_of(database.url)
    again = migrate(link, BLOCKS, BLOCKS)
    assert journal.entries(link, (again,), "applied") == []

    run(link, "INSERT INTO t (id, p, m) VALUES (2, 1, 'bad')")
    undo(link, number)
    assert schema_of(database.url) == before
    run(link, "INSERT INTO t (id, p) VALUES (3, 1)")
    redo(link, number)
    assert schema_of(database.url) == after
    assert seen(link, "SELECT id, m FROM t ORDER BY id") == "1 ok | 2 bad | 3 ok"


def test_the_rest_of_a_transaction_counts_where_a_block_finds_its_thing_there(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    exists = BLOCK.format('ALTER TABLE "t" ADD COLUMN "x" int', "duplicate_column")
    number = migrate(link, f"{exists} CREATE TABLE n (id int); {exists} UPDATE t SET x = 2; {exists}")
    undo(link, number)
    assert seen(link, "SELECT x FROM t") == "1"
    assert seen(link, "SELECT to_regclass('n')") == "-"


DROPS = {
    "static": "DO $$ BEGIN ALTER TABLE t DROP COLUMN x; DROP TABLE p; END $$",
    "under a condition": "DO $$ BEGIN IF EXISTS (SELECT FROM information_schema.columns WHERE table_name = 't' AND column_name = 'x') "
    "THEN ALTER TABLE t DROP COLUMN x; END IF; DROP TABLE p; END $$",
    "dynamic": "DO $$ DECLARE one text; BEGIN FOR one IN SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'x' "
    "LOOP EXECUTE format('ALTER TABLE t DROP COLUMN %I', one); END LOOP; EXECUTE 'DROP ' || 'TABLE p'; END $$",
    "with a handler": BLOCK.format("ALTER TABLE t DROP COLUMN x; DROP TABLE p", "undefined_column"),
    "with rows": "DO $$ BEGIN UPDATE t SET p = 7; ALTER TABLE t DROP COLUMN x; DROP TABLE p; UPDATE t SET p = NULL; END $$",
}


@pytest.mark.parametrize("name", DROPS)
def test_what_a_block_drops_comes_back(database: Database, name: str) -> None:
    link = database.link()
    run(link, BEFORE)
    before = schema_of(database.url)
    number = migrate(link, DROPS[name])
    after = schema_of(database.url)
    kinds = {one.kind for one in journal.entries(link, (number,), "applied")} - {"rows"}
    assert kinds == {"column.hidden", "table.hidden"}

    run(link, "INSERT INTO t (id) VALUES (2)")
    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, "SELECT * FROM t ORDER BY id") == "1 1 1 | 2 - -"
    assert seen(link, "SELECT * FROM p") == "1"
    redo(link, number)
    assert schema_of(database.url) == after


EVERYTHING = """
CREATE TYPE mood AS ENUM ('ok'); CREATE SEQUENCE s; CREATE VIEW v AS SELECT id FROM t; CREATE INDEX i ON t (x);
CREATE FUNCTION f(a int, b text) RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf(); CREATE POLICY po ON t USING (x > 0);
ALTER TABLE t ADD CONSTRAINT c CHECK (x > 0); ALTER TABLE t ADD CONSTRAINT u UNIQUE (x); ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (p) REFERENCES p;
"""


def test_whatever_is_hidden_by_a_statement_is_hidden_by_a_block(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    run(
        link,
        EVERYTHING.replace(
            "RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';",
            "RETURNS int LANGUAGE sql AS 'SELECT 1';",
            1,
        ),
    )
    before = schema_of(database.url)
    number = migrate(
        link,
        "DO $$ BEGIN IF true THEN DROP TYPE mood; DROP SEQUENCE s; DROP VIEW v; DROP INDEX i; DROP FUNCTION f; DROP TRIGGER tr ON t; "
        "DROP POLICY po ON t; ALTER TABLE t DROP CONSTRAINT c, DROP CONSTRAINT u; DROP TABLE p CASCADE; END IF; END $$",
    )
    undo(link, number)
    assert schema_of(database.url) == before


def test_a_block_that_drops_in_the_midst_of_other_statements(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    before = schema_of(database.url)
    number = migrate(
        link,
        f"ALTER TABLE t ADD COLUMN y int; {DROPS['dynamic']}; UPDATE t SET y = 3; ALTER TABLE t DROP COLUMN p",
    )
    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, "SELECT id, p, x FROM t") == "1 1 1"


def test_a_block_that_fails_says_so_and_a_savepoint_undoes_it(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    before = catalog_of(link)
    with pytest.raises(LinkError, match="no such thing"):
        migrate(link, "DO $$ BEGIN IF true THEN DROP TABLE p; RAISE 'no such thing'; END IF; END $$")
    assert {key: one for key, one in catalog_of(link).things.items() if key in before.things} == before.things


def test_a_savepoint_undoes_what_a_block_has_dropped(database: Database) -> None:
    block = "DO $$ BEGIN IF true THEN DROP TABLE b; END IF; END $$"
    with migrating(database) as client:
        client(
            "BEGIN", "SAVEPOINT s", block, "ROLLBACK TO s", "INSERT INTO b DEFAULT VALUES", block, "COMMIT"
        )
    link = database.link()
    assert seen(link, "SELECT to_regclass('b')") == "-"
    undo(link, client.number)
    assert seen(link, "SELECT to_regclass('b')") == "b"


def test_a_block_that_changes_a_type_beside_others_that_only_make(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    before = schema_of(database.url)
    number = migrate(link, BLOCKS + BLOCK.format("ALTER TABLE t ALTER x TYPE bigint", "undefined_column"))
    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, "SELECT id, p, x FROM t") == "1 1 1"


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_a_block_that_ends_the_transaction_is_refused_by_the_server(end: str, database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    journal.install(link)
    before = catalog_of(link)
    with pytest.raises(LinkError, match="invalid transaction termination"):
        migrate(link, f"DO $$ BEGIN ALTER TABLE t DROP COLUMN x; {end}; DROP TABLE p; END $$")
    assert catalog_of(link) == before
    assert journal.every_entry(link) == []


def test_rows_that_were_not_logged_before_a_block_are_refused_after_it(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    run(
        link,
        "CREATE FUNCTION put() RETURNS void LANGUAGE plpgsql AS $$BEGIN EXECUTE 'UPDATE ' || chr(116) || ' SET x = 9'; END$$",
    )
    with pytest.raises(Veto, match=r"cannot undo what this transaction did to rows of public\.t"):
        migrate(link, "SELECT put(); DO $$ BEGIN IF true THEN DROP TABLE p; END IF; END $$")
    assert seen(link, "SELECT x FROM t") == "1"


def test_what_no_table_shows_is_done_as_well(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    link.rows("LISTEN heard")
    set_it = "PERFORM set_config('a.b', 'c', false); PERFORM pg_notify('heard', 'this')"
    migrate(link, f"DO $$ BEGIN IF true THEN {set_it}; DROP TABLE p; END IF; END $$")
    assert seen(link, "SELECT current_setting('a.b'), to_regclass('p')") == "c -"
    assert [one.payload for one in link.connection.notifies(timeout=5, stop_after=1)] == ["this"]

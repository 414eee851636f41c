"""A DO block, or a function, that destroys something under conditions, in loops or by EXECUTE goes there and back as what it ran."""

from __future__ import annotations

import psycopg
import pytest

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.databases.postgres.reversible.words import sentence

from .conftest import Database
from .engine import migrate, redo, run, undo
from .servers import by_turns
from .states import catalog_of, schema_of, seen
from .test_observed import kept, observe, refused
from .test_savepoints import migrating

pytestmark = pytest.mark.slow

BEFORE = """
CREATE TYPE mood AS ENUM ('ok', 'bad'); CREATE TABLE p (id int PRIMARY KEY, x int);
CREATE TABLE t (id int PRIMARY KEY, a text, n int, m mood DEFAULT 'ok', p int CONSTRAINT fk REFERENCES p, CONSTRAINT ch CHECK (n > 0));
CREATE TABLE rep (id serial PRIMARY KEY, x int); CREATE TABLE log (said text);
CREATE TABLE part (id int, x int) PARTITION BY RANGE (id); CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20); CREATE SEQUENCE s;
INSERT INTO p VALUES (1, 1), (2, 2); INSERT INTO rep (x) VALUES (1), (2); INSERT INTO part VALUES (1, 1), (11, 1);
INSERT INTO t VALUES (1, 'a1', 1, 'ok', 1), (2, 'a2', 2, 'bad', 2);
"""
ROWS = "SELECT id, a, n, m, p FROM t ORDER BY id"

BLOCKS = {
    "a constraint under a condition": """BEGIN
  IF EXISTS (SELECT 1 FROM pg_constraint WHERE conname = 'ch') THEN
    ALTER TABLE t DROP CONSTRAINT ch; -- DROP TABLE t;
  END IF; END""",
    "a type under a condition": """BEGIN
  IF (SELECT data_type FROM information_schema.columns WHERE table_name = 't' AND column_name = 'n') = 'integer' THEN
    ALTER TABLE t ALTER COLUMN n TYPE bigint USING n::bigint;
  ELSIF true THEN RAISE EXCEPTION 'no'; ELSE DROP TABLE t; END IF; END""",
    "an enum in the place of another": """DECLARE def text := 'ok'; BEGIN
  IF NOT EXISTS (SELECT FROM pg_type WHERE typname = 'mood_old') THEN
    ALTER TYPE mood RENAME TO mood_old; CREATE TYPE mood AS ENUM ('ok', 'bad', 'odd');
    ALTER TABLE t ALTER m DROP DEFAULT; ALTER TABLE t ALTER m TYPE mood USING m::text::mood;
    EXECUTE format('ALTER TABLE t ALTER m SET DEFAULT %L', def); DROP TYPE mood_old;
  END IF; END""",
    "made, filled and dropped": """BEGIN
  IF true THEN CREATE TABLE made (x int); INSERT INTO made VALUES (7); DROP TABLE rep; END IF; END""",
    "rows changed in a loop": """DECLARE r record; k int := 0; BEGIN
  FOR r IN SELECT t.id, t.a AS was FROM t ORDER BY t.id LOOP
    k := k + 1; UPDATE t SET a = r.was || '-' || k WHERE t.id = r.id AND 100 % 7 = 2;
  END LOOP;
  DELETE FROM part WHERE x = k - 1; DROP TABLE rep; END""",
    "all partitions": """DECLARE one regclass; BEGIN
  FOR one IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'part'::regclass ORDER BY 1 LOOP
    EXECUTE format('ALTER TABLE part DETACH PARTITION %s', one); EXECUTE 'DROP TABLE ' || one || ' CASCADE';
  END LOOP; END""",
    "emptied": "BEGIN IF true THEN TRUNCATE rep; INSERT INTO rep (id, x) VALUES (9, 9); END IF; END",
    "undone by a handler": """BEGIN
  BEGIN DROP TABLE rep; UPDATE t SET n = n / (n - 1); EXCEPTION WHEN division_by_zero THEN ALTER TABLE rep DROP COLUMN x; END;
  BEGIN EXECUTE 'ALTER TABLE t DROP COLUMN nowhere'; EXCEPTION WHEN undefined_column THEN NULL; END; END""",
    "by values": """DECLARE v text := 'b''%s\\'; w int[] := '{5,6}'; BEGIN
  EXECUTE 'UPDATE t SET a = $2, n = $1[2] WHERE id = $1[1] - 4' USING w, v; INSERT INTO p VALUES (w[1], 100 % 7);
  IF FOUND THEN ALTER TABLE p DROP COLUMN x; END IF; END""",
    "with a number that goes on": """BEGIN
  IF true THEN PERFORM setval('s', 40); EXECUTE 'SELECT setval(''rep_id_seq'', 50)'; ALTER TABLE rep DROP COLUMN x; END IF; END""",
    "with functions": """DECLARE there bool; BEGIN
  there := has('t', 'n'); IF there THEN PERFORM gone('rep'); PERFORM put('one'); CALL away('p'); END IF; END""",
}  # fmt: skip

FUNCTIONS = """
CREATE FUNCTION has(t text, c text) RETURNS bool LANGUAGE plpgsql AS
  'BEGIN RETURN EXISTS (SELECT FROM pg_attribute WHERE attrelid = t::regclass AND attname = c); END';
CREATE FUNCTION gone(what text) RETURNS int LANGUAGE plpgsql AS
  'BEGIN EXECUTE format(''DROP TABLE %I CASCADE'', what); INSERT INTO log (said) VALUES (gone.what); RETURN 1; END';
CREATE FUNCTION put(what text) RETURNS void LANGUAGE sql AS 'INSERT INTO log (said) VALUES (what)';
CREATE PROCEDURE away(what text) LANGUAGE plpgsql AS
  'BEGIN IF what = ''p'' THEN ALTER TABLE t DROP CONSTRAINT fk; DROP TABLE p; END IF; END';
"""


def rows_of(link: DirectLink) -> dict[str, str]:
    """Return the rows of all tables, in the columns that are not hidden, in the order of their names."""
    found = link.rows(
        "SELECT c.oid::regclass::text AS t, string_agg(quote_ident(attname), ', ' ORDER BY attname) AS c "
        "FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped "
        "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attname NOT LIKE '\\_bo\\_%' GROUP BY 1"
    )
    return {
        str(one["t"]): seen(link, f"SELECT {one['c']} FROM {one['t']} r ORDER BY r::text") for one in found
    }


@pytest.mark.parametrize(("server", "name"), by_turns(BLOCKS), indirect=["server"])
def test_a_block_goes_there_and_back_and_there_again(name: str, database: Database, second: Database) -> None:
    link, plain = database.link(), second.link()
    block = f"DO $do${BLOCKS[name]}$do$"
    for one in (link, plain):
        run(one, BEFORE + FUNCTIONS)
    observed = observe(second, block)
    before, rows = schema_of(database.url), rows_of(link)

    number = migrate(link, block)
    after = schema_of(database.url)
    assert after == schema_of(second.url)
    assert rows_of(link) == rows_of(plain)
    numbers = "SELECT last_value, is_called FROM s"
    assert seen(link, numbers) == seen(plain, numbers)
    told = [sentence(entry) for entry in journal.entries(link, (number,), "applied")]
    # What is dropped, or has another type, later in the transaction is told in one way or the other.
    of_both = [
        sorted(one for one in every if not one.startswith(("partition ", "default ")))
        for every in (kept(observed), told)
    ]
    assert (of_both[0], refused(observed)) == (of_both[1], [])

    undo(link, number)
    assert schema_of(database.url) == before
    assert rows_of(link) == rows
    redo(link, number)
    assert schema_of(database.url) == after
    undo(link, number)
    assert schema_of(database.url) == before
    assert rows_of(link) == rows


def test_a_block_of_before_other_statements_and_a_savepoint_in_one_transaction(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    before = schema_of(database.url)
    block = BLOCKS["made, filled and dropped"]
    number = migrate(
        link,
        f"ALTER TABLE t ADD y int; UPDATE t SET a = 'z'; DO $${block}$$; UPDATE t SET y = n; ALTER TABLE t DROP COLUMN p",
        "DROP TABLE made; DO $$BEGIN IF true THEN DROP TYPE IF EXISTS nowhere; ALTER TABLE t DROP COLUMN y; END IF; END$$",
    )
    run(link, "INSERT INTO t (id, a, n) VALUES (3, 'a3', 3)")
    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, ROWS) == "1 a1 1 ok 1 | 2 a2 2 bad 2 | 3 a3 3 ok -"


REFUSED = {
    "a value that another run gives otherwise": (
        "DECLARE v int; BEGIN INSERT INTO rep (x) VALUES (3) RETURNING id INTO v; INSERT INTO p VALUES (v, 1); ALTER TABLE t DROP COLUMN p; END",
        "other rows of",
    ),
    "rows that a query of a loop writes": (
        "DECLARE r record; BEGIN FOR r IN EXECUTE 'UPDATE p SET x = 7 RETURNING id' LOOP NULL; END LOOP; ALTER TABLE t DROP COLUMN p; END",
        "other rows of public.p",
    ),
    "rows that a function writes on the way": (
        "DECLARE v int; BEGIN v := writes(); ALTER TABLE t DROP COLUMN p; CREATE TABLE made (); END",
        "rows of public.p",
    ),
    "what is not undone with a transaction": (
        "BEGIN PERFORM set_limit(0.9::real); IF true THEN DROP TABLE rep; END IF; END",
        "DO",
    ),
    "a setting on the way": (
        "DECLARE v text; BEGIN v := set_config('a.b', 'c', false); DROP TABLE rep; END",
        "DO",
    ),
    "a whole record": (
        "DECLARE r p; BEGIN SELECT * INTO r FROM p LIMIT 1; r.id := 9; INSERT INTO p SELECT r.*; ALTER TABLE t DROP COLUMN p; END",
        "DO",
    ),
}


def test_what_would_not_be_the_same_is_refused(database: Database) -> None:
    link = database.link()
    run(
        link,
        BEFORE
        + "CREATE EXTENSION pg_trgm; CREATE FUNCTION writes() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'UPDATE p SET x = 8; SELECT 1'",
    )
    journal.install(link)
    before, rows = catalog_of(link), rows_of(link)
    for name, (block, said) in REFUSED.items():
        with pytest.raises(Veto) as raised:
            migrate(link, f"DO $do${block}$do$")
        assert said in f"{raised.value.message} {raised.value.detail}", name
        assert (catalog_of(link), rows_of(link)) == (before, rows), name
        assert journal.every_entry(link) == [], name


CALLED = """
CREATE FUNCTION drops(what text, at int DEFAULT 2) RETURNS void LANGUAGE plpgsql AS $$
BEGIN EXECUTE format('ALTER TABLE part DETACH PARTITION %I', what || '_' || at); EXECUTE format('DROP TABLE %I', what || '_' || at); END $$;
CREATE FUNCTION counted() RETURNS TABLE (said text, n bigint) LANGUAGE plpgsql AS $$
BEGIN DELETE FROM p WHERE NOT EXISTS (SELECT FROM t WHERE t.p = p.id); ALTER TABLE t ALTER n TYPE bigint;
  PERFORM drops('part'); RETURN QUERY SELECT t.a, t.n FROM t ORDER BY 1; RETURN QUERY SELECT NULL::text, 7::bigint; END $$;
CREATE FUNCTION plain(what text) RETURNS int LANGUAGE sql AS
  'INSERT INTO log VALUES (plain.what); ALTER TABLE rep DROP COLUMN x; SELECT 5';
CREATE FUNCTION nothing() RETURNS void LANGUAGE sql AS 'DROP TYPE unused';
CREATE PROCEDURE runs(n int) LANGUAGE plpgsql AS $$ BEGIN IF n > 1 THEN TRUNCATE rep; CALL runs(n - 1); ELSE DROP TYPE unused; END IF; END $$;
CREATE TYPE unused AS (x int);
"""
CALLS = (
    "SELECT drops('part')",
    'SELECT c.n, said AS said, 1.50 AS d, NULL AS "D""" FROM counted() c',
    "SELECT plain('it''s'), nothing(), drops('part', g) FROM generate_series(1, 2) g WHERE g > 1",
    "SELECT drops('part', g) FROM generate_series(1, 2) g",
    "CALL runs(2)",
)
WAYS = {"simple": {}, "extended": {"prepare": True}, "binary": {"binary": True}}


def answer(
    connection: psycopg.Connection[tuple[object, ...]], call: str, how: str
) -> tuple[list[object], list[object], str | None]:
    """Return the columns, the rows and the tag that a client gets."""
    found = connection.execute(call.encode(), **WAYS[how])
    columns = [(one.name, one.type_code) for one in found.description or ()]
    return columns, found.fetchall() if columns else [], found.statusmessage


@pytest.mark.parametrize(
    ("call", "how"), [*((one, "simple") for one in CALLS), (CALLS[1], "extended"), (CALLS[1], "binary")]
)
def test_what_is_called_answers_and_goes_there_and_back(
    call: str, how: str, database: Database, second: Database
) -> None:
    link = database.link()
    for one in (link, second.link()):
        run(one, BEFORE + CALLED)
    before, rows = schema_of(database.url), rows_of(link)
    with psycopg.connect(second.url) as plain:
        told = answer(plain, call, how)
    with migrating(database, "") as client:
        assert answer(client.connection, call, how) == told
    after = schema_of(database.url)
    assert after == schema_of(second.url)
    undo(link, client.number)
    assert schema_of(database.url) == before
    assert rows_of(link) == rows
    redo(link, client.number)
    assert schema_of(database.url) == after


def test_a_block_is_tried_where_something_is_hidden_that_stands_in_its_way(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    before = schema_of(database.url)
    for _ in range(2):
        number = migrate(link, f"DO $${BLOCKS['a type under a condition']}$$")
        undo(link, number)
        assert schema_of(database.url) == before


def test_what_is_called_that_destroys_nothing_runs_as_it_is(database: Database) -> None:
    with migrating(database, BEFORE + FUNCTIONS) as client:
        assert client.connection.execute("SELECT has('t', 'a'), put('x')").fetchall() == [(True, None)]
        assert client.connection.execute("SELECT %s::int, has(%s, 'b')", (1, "t")).fetchall() == [(1, False)]
    link = database.link()
    assert seen(link, "SELECT * FROM log") == "x"
    undo(link, client.number)
    assert seen(link, "SELECT count(*) FROM log") == "0", "it was logged, as of a DO block"

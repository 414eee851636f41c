"""What goes wrong when a dropped thing is only hidden: each trap that is known, by its number, sprung and passed.

Those of `a` and `b` lose or corrupt data without an error where nothing is done about them.
"""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.back import NotReversible
from backout.databases.postgres.reversible.link import DirectLink, LinkError
from backout.databases.postgres.reversible.proxy.keeper import Veto

from .conftest import Database
from .engine import migrate, redo, run, undo, undo_leaving
from .states import rows_of, schema_of, seen

pytestmark = pytest.mark.slow


@pytest.fixture
def link(database: Database) -> DirectLink:
    return database.link()


def test_1_insert_by_position_into_a_hidden_column_is_an_error(link: DirectLink) -> None:
    run(link, "CREATE TABLE t (id int, a text, b text); INSERT INTO t VALUES (1, 'a1', 'b1')")
    migrate(link, "ALTER TABLE t DROP COLUMN a")

    with pytest.raises(LinkError, match=r"column public\.t\.a is hidden by backout"):
        run(link, "INSERT INTO t VALUES (2, 'NEWB')")
    run(link, "INSERT INTO t (id, b) VALUES (2, 'b2')")
    assert seen(link, "SELECT id, b FROM t ORDER BY id") == "1 b1 | 2 b2"


@pytest.mark.parametrize(
    "column", ["int DEFAULT 5", "int NOT NULL DEFAULT 5", "boolean", "varchar(3) NOT NULL DEFAULT ''", "int"]
)
def test_1_also_where_the_type_has_no_value_to_spare(link: DirectLink, column: str) -> None:
    run(link, f"CREATE TABLE t (id int, a {column}, b int); INSERT INTO t VALUES (1, '1', 7)")
    migrate(link, "ALTER TABLE t DROP COLUMN a")

    with pytest.raises(LinkError, match="hidden by backout"):
        run(link, "INSERT INTO t VALUES (2, '1')")
    run(link, "INSERT INTO t (id, b) VALUES (2, 8)")
    assert seen(link, "SELECT id, b FROM t ORDER BY id") == "1 7 | 2 8"


def test_1_also_where_a_column_comes_behind_it_later(link: DirectLink) -> None:
    run(link, "CREATE TABLE t (id int, a int DEFAULT 5); INSERT INTO t VALUES (1, 1)")
    migrate(link, "ALTER TABLE t DROP COLUMN a", "ALTER TABLE t ADD COLUMN c int")

    with pytest.raises(LinkError, match="hidden by backout"):
        run(link, "INSERT INTO t VALUES (2, 3)")
    with pytest.raises(LinkError, match="hidden by backout"):
        run(link, "INSERT INTO t VALUES (2, NULL, false, 3)")
    run(link, "INSERT INTO t (id, c) VALUES (2, 3)")
    assert seen(link, "SELECT id, c FROM t ORDER BY id") == "1 - | 2 3"


def test_3_and_a3_hidden_child_table_keeps_its_rows_when_the_parent_goes(link: DirectLink) -> None:
    run(link, "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int, p int REFERENCES p ON DELETE CASCADE);"
        "INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (10, 1), (20, 2)")  # fmt: skip
    number = migrate(link, "DROP TABLE c")
    run(link, "INSERT INTO p VALUES (3)")

    undo(link, number)
    assert seen(link, "SELECT id, p FROM c ORDER BY id") == "10 1 | 20 2"
    redo(link, number)
    run(link, "DELETE FROM p WHERE id = 1")  # the kept row has lost its parent: that is told, and it is kept
    assert ["c_p_fkey" in one.statement for one in undo_leaving(link, number)] == [True]
    assert seen(link, "SELECT id, p FROM c ORDER BY id") == "10 1 | 20 2"
    with pytest.raises(LinkError, match="c_p_fkey"):
        run(link, "INSERT INTO c VALUES (30, 99)")


def test_a3_hidden_new_column_keeps_no_foreign_key(link: DirectLink) -> None:
    run(
        link,
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY); INSERT INTO p VALUES (1); INSERT INTO t VALUES (1)",
    )
    number = migrate(link, "ALTER TABLE t ADD COLUMN p int REFERENCES p ON DELETE CASCADE")
    run(link, "UPDATE t SET p = 1")
    undo(link, number)

    run(link, "DELETE FROM p")
    assert seen(link, "SELECT id FROM t") == "1"


def test_a3_hidden_new_table_keeps_no_foreign_key(link: DirectLink) -> None:
    run(link, "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1)")
    number = migrate(link, "CREATE TABLE c (id int, p int REFERENCES p ON DELETE RESTRICT)")
    run(link, "INSERT INTO c VALUES (1, 1)")
    undo(link, number)

    run(link, "DELETE FROM p")
    assert seen(link, "SELECT count(*) FROM p") == "0"


def test_a3_hidden_new_column_keeps_no_check(link: DirectLink) -> None:
    run(link, "CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    number = migrate(
        link, "ALTER TABLE t ADD COLUMN n int; ALTER TABLE t ADD CHECK (n IS NOT NULL OR id < 5)"
    )
    undo(link, number)

    run(link, "INSERT INTO t VALUES (9)")
    assert seen(link, "SELECT id FROM t ORDER BY id") == "1 | 9"


def test_4_and_5_a_hidden_unique_column_refuses_no_row(link: DirectLink) -> None:
    run(
        link,
        "CREATE TABLE t (id int, u text NOT NULL DEFAULT gen_random_uuid()::text UNIQUE, v int UNIQUE, w int, UNIQUE (w, v))",
    )
    number = migrate(link, "ALTER TABLE t DROP u; ALTER TABLE t DROP v")
    run(link, "INSERT INTO t (id, w) VALUES (1, 1), (2, 1)")

    undo(link, number)
    assert seen(link, "SELECT count(DISTINCT u) AS u, count(v) AS v FROM t") == "2 0"


def test_4_a_default_that_would_be_twice_in_a_unique_index_is_no_answer(link: DirectLink) -> None:
    run(link, "CREATE TABLE t (id int, u text NOT NULL DEFAULT 'x' UNIQUE); INSERT INTO t VALUES (1)")
    with pytest.raises(Veto, match=r"needs an answer for public\.t\.u"):
        migrate(link, "ALTER TABLE t DROP COLUMN u")


def test_6_a_function_that_reads_the_column_breaks_as_with_the_plain_drop_and_works_again(
    link: DirectLink,
) -> None:
    run(link, "CREATE TABLE t (id int, a text); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.a := upper(NEW.a); RETURN NEW; END$$;"
        "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()")  # fmt: skip
    number = migrate(link, "ALTER TABLE t DROP COLUMN a")
    with pytest.raises(LinkError, match='no field "a"'):
        run(link, "INSERT INTO t (id) VALUES (1)")
    undo(link, number)

    run(link, "INSERT INTO t VALUES (2, 'x')")
    assert seen(link, "SELECT id, a FROM t") == "2 X"


def test_10_and_a12_dropped_added_and_dropped_again_under_one_name(
    link: DirectLink, database: Database
) -> None:
    run(link, "CREATE TABLE t (id int, a text DEFAULT 'd'); INSERT INTO t VALUES (1, 'first')")
    before = schema_of(database.url)
    up = "ALTER TABLE t DROP a; ALTER TABLE t ADD a int; ALTER TABLE t DROP a; ALTER TABLE t ADD a boolean"
    number = migrate(link, up)
    run(link, "INSERT INTO t (id, a) VALUES (2, true)")

    for _ in range(3):
        undo(link, number)
        assert schema_of(database.url) == before
        assert seen(link, "SELECT id, a FROM t ORDER BY id") == "1 first | 2 d"
        redo(link, number)
        assert seen(link, "SELECT id, a FROM t ORDER BY id") == "1 - | 2 t"


def test_16_a_column_dropped_and_added_by_two_migrations(link: DirectLink, database: Database) -> None:
    run(link, "CREATE TABLE t (id int, a text NOT NULL DEFAULT 'd'); INSERT INTO t VALUES (1, 'first')")
    before = schema_of(database.url)
    first = migrate(link, "ALTER TABLE t DROP a")
    second = migrate(link, "ALTER TABLE t ADD a int NOT NULL DEFAULT 3; CREATE INDEX i ON t (a)")
    run(link, "INSERT INTO t (id, a) VALUES (2, 22)")

    for _ in range(3):
        undo(link, first, second)
        assert schema_of(database.url) == before
        assert seen(link, "SELECT id, a FROM t ORDER BY id") == "1 first | 2 d"
        redo(link, first, second)
        assert seen(link, "SELECT id, a FROM t ORDER BY id") == "1 3 | 2 22"


def test_13_a_prepared_statement_goes_on_with_named_columns(link: DirectLink, database: Database) -> None:
    run(link, "CREATE TABLE t (id int, a int); INSERT INTO t VALUES (1, 1)")
    app = database.link()
    app.rows("PREPARE q AS SELECT id FROM t")
    number = migrate(link, "ALTER TABLE t DROP COLUMN a")
    assert app.rows("EXECUTE q") == [{"id": "1"}]
    undo(link, number)
    assert app.rows("EXECUTE q") == [{"id": "1"}]


def test_21_a_migration_that_sets_a_role_is_journalled_and_taken_back(
    link: DirectLink, database: Database
) -> None:
    run(
        link,
        "CREATE SCHEMA o AUTHORIZATION other; SET ROLE other; CREATE TABLE o.t (id int, a text); INSERT INTO o.t VALUES (1, 'a1'); RESET ROLE",
    )
    before = schema_of(database.url)
    number = migrate(
        link,
        "SET LOCAL ROLE other; ALTER TABLE o.t DROP COLUMN a; ALTER TABLE o.t ADD b int; CREATE TABLE o.n (x int); DROP TABLE o.n",
    )
    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, "SELECT id, a FROM o.t") == "1 a1"


def test_a5_forced_row_security_hides_no_row_from_the_way_back(link: DirectLink, database: Database) -> None:
    run(link, "CREATE TABLE t (id int, a text NOT NULL DEFAULT 'd'); INSERT INTO t VALUES (1, 'a1'); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
        "ALTER TABLE t FORCE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (id < 0) WITH CHECK (true)")  # fmt: skip
    before = schema_of(database.url)
    number = migrate(link, "ALTER TABLE t DROP COLUMN a")
    run(link, "INSERT INTO t (id) VALUES (2)")
    undo(link, number)

    assert schema_of(database.url) == before
    run(link, "ALTER TABLE t DISABLE ROW LEVEL SECURITY")
    assert seen(link, "SELECT id, a FROM t ORDER BY id") == "1 a1 | 2 d"


def test_a7_one_release_alone_is_not_taken_back_when_a_later_one_uses_its_name(link: DirectLink) -> None:
    run(link, "CREATE TABLE o (x int); INSERT INTO o VALUES (1)")
    first = migrate(link, "ALTER TABLE o RENAME TO o1")
    second = migrate(link, "CREATE TABLE o (y int)")
    rows = rows_of(link)

    with pytest.raises(NotReversible, match="o"):
        undo(link, first)
    assert rows_of(link) == rows
    undo(link, first, second)
    assert seen(link, "SELECT x FROM o") == "1"


def test_a8_nothing_hidden_stands_in_the_way_of_a_name(
    link: DirectLink, database: Database, second: Database
) -> None:
    before = (
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int, n int REFERENCES p, s serial, u int CONSTRAINT uq UNIQUE);"
        "CREATE INDEX note ON t (n);"
    )
    up = (
        "ALTER TABLE t DROP n, DROP s, DROP u; ALTER TABLE t ADD n int; ALTER TABLE t ADD s serial; ALTER TABLE t ADD u int;"
        "CREATE INDEX IF NOT EXISTS note ON t (n); ALTER TABLE t ADD CONSTRAINT uq UNIQUE (u);"
    )
    again = "DO $$BEGIN ALTER TABLE t ADD CONSTRAINT t_n_fkey FOREIGN KEY (n) REFERENCES p; EXCEPTION WHEN duplicate_object THEN NULL; END$$"
    run(link, before)
    was = schema_of(database.url)
    run(second.link(), before + up + again)
    number = migrate(link, up, again)
    assert schema_of(database.url) == schema_of(second.url)
    undo(link, number)
    assert schema_of(database.url) == was
    redo(link, number)
    assert schema_of(database.url) == schema_of(second.url)


def test_a11_a_soft_delete_trigger_of_the_app_swallows_nothing(link: DirectLink, database: Database) -> None:
    run(link, "CREATE TABLE t (id int, a text NOT NULL DEFAULT 'd'); INSERT INTO t VALUES (1, 'a1');"
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER always BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION no(); ALTER TABLE t ENABLE ALWAYS TRIGGER always;"
        "CREATE TRIGGER off BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION no(); ALTER TABLE t DISABLE TRIGGER off;"
        "CREATE RULE never AS ON UPDATE TO t WHERE OLD.id = 2 DO INSTEAD NOTHING")  # fmt: skip
    before = schema_of(database.url)
    number = migrate(link, "ALTER TABLE t DROP COLUMN a")
    run(link, "INSERT INTO t (id) VALUES (2)")
    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, "SELECT id, a FROM t ORDER BY id") == "1 a1 | 2 d"


def test_a12_a_natural_join_joins_no_hidden_columns(link: DirectLink) -> None:
    run(
        link,
        "CREATE TABLE t (id int, a text); CREATE TABLE u (id int, a text); INSERT INTO t VALUES (1, 'x'); INSERT INTO u VALUES (1, 'y')",
    )
    migrate(link, "ALTER TABLE t DROP COLUMN a; ALTER TABLE u DROP COLUMN a")
    assert seen(link, "SELECT id FROM t NATURAL JOIN u") == "1"


def test_c26_the_way_back_finds_rows_written_since_without_reading_the_table(link: DirectLink) -> None:
    run(link, "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL, b int)")
    run(link, "INSERT INTO t SELECT n, 'a', n FROM generate_series(1, 20000) n")
    number = migrate(
        link,
        "ALTER TABLE t\n-- backout: fill t.a = 'since'\nDROP COLUMN a",
        "ALTER TABLE t ALTER b TYPE bigint",
    )
    run(link, "INSERT INTO t (id, b) VALUES (0, 1)")
    run(link, "UPDATE t SET b = 0 WHERE id IN (0, 7)")
    read = (
        "SELECT pg_catalog.pg_stat_force_next_flush()",
        "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 't'",
    )
    before = [link.rows(one) for one in read][-1]

    back.undo(link, [m for m in journal.migrations(link) if m.id == number], patience_s=5)
    assert [link.rows(one) for one in read][-1] == before
    assert (
        seen(link, "SELECT id, a, b FROM t WHERE id IN (0, 1, 7) ORDER BY id") == "0 since 0 | 1 a 1 | 7 a 0"
    )

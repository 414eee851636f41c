"""What a hidden thing holds on to, and who may look into the journal: traps by their number."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest
from tests.command_line import Done

from backout.databases.postgres.programs import find_programs
from backout.databases.postgres.reversible.back import NotReversible
from backout.databases.postgres.reversible.link import DirectLink, LinkError
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.databases.postgres.reversible.status import read_status
from backout.embedded.server import EmbeddedPostgres

from .conftest import Database
from .engine import migrate, run, undo, undo_leaving
from .states import catalog_of, rows_of, schema_of, seen

pytestmark = pytest.mark.slow


@pytest.fixture
def link(database: Database) -> DirectLink:
    return database.link()


def test_b13_a_hidden_column_pins_no_function(link: DirectLink, database: Database) -> None:
    """The plain database would let the function go once the column is dropped; so it is hidden, as the column is."""
    run(
        link,
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE t (id int, a int NOT NULL DEFAULT f())",
    )
    before = schema_of(database.url)
    dropped = [migrate(link, "ALTER TABLE t DROP COLUMN a"), migrate(link, "DROP FUNCTION f()")]
    run(link, "INSERT INTO t VALUES (1)")
    for number in reversed(dropped):
        undo(link, number)
    assert schema_of(database.url) == before
    run(link, "INSERT INTO t (id) VALUES (2)")
    assert seen(link, "SELECT * FROM t ORDER BY id") == "1 1 | 2 1"


def test_b15_what_hangs_on_a_column_comes_back_with_it(link: DirectLink, database: Database) -> None:
    run(link, "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int, a int UNIQUE REFERENCES p ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED, b text);"
        "CREATE TABLE c (t int CONSTRAINT to_t REFERENCES t (a) ON UPDATE CASCADE); GRANT SELECT (a) ON t TO PUBLIC;"
        "COMMENT ON COLUMN t.a IS 'a'; ALTER TABLE t ALTER a SET STATISTICS 7; CREATE INDEX e ON t ((a + 1)); COMMENT ON CONSTRAINT to_t ON c IS 'x';"
        "INSERT INTO p VALUES (1); INSERT INTO t VALUES (1, 1, 'b'); INSERT INTO c VALUES (1)")  # fmt: skip
    before = schema_of(database.url)
    number = migrate(link, "ALTER TABLE t DROP COLUMN a CASCADE")
    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, "SELECT a FROM t") == "1"


def test_b17_a_check_comes_back_over_what_was_written_since_only_if_it_holds(link: DirectLink) -> None:
    run(
        link, "CREATE TABLE t (id int, n int DEFAULT 5, m int, CHECK (n < m)); INSERT INTO t VALUES (1, 1, 2)"
    )
    number = migrate(link, "ALTER TABLE t DROP COLUMN n")
    run(link, "INSERT INTO t (id, m) VALUES (2, 3)")
    assert ["t_check" in one.statement for one in undo_leaving(link, number)] == [True]
    assert seen(link, "SELECT id, n, m FROM t ORDER BY id") == "1 1 2 | 2 5 3"


def test_b17_a_dropped_check_comes_back_once_what_was_written_since_meets_it(
    link: DirectLink, database: Database
) -> None:
    run(
        link, "CREATE TABLE t (id int, n int, CONSTRAINT positive CHECK (n > 0)); INSERT INTO t VALUES (1, 1)"
    )
    number = migrate(link, "ALTER TABLE t DROP CONSTRAINT positive; ALTER TABLE t RENAME n TO m")
    run(link, "INSERT INTO t VALUES (2, -2), (3, 3), (4, NULL)")

    found = read_status(link, "app", 1)
    assert (found.possible, [(one.kind, one.rows) for one in found.rows]) == ("no", [("violators", 1)])
    with pytest.raises(NotReversible, match=r"1 row\(s\) do not meet public\.t\.positive") as caught:
        undo(link, number)
    shown_by = str(caught.value).split("shown by: ")[1]
    assert seen(link, shown_by) == "2 -2"
    env = os.environ | {"DATABASE_URL": database.url}
    typed = subprocess.run(
        ["/bin/sh", "-c", caught.value.next_command], env=env, capture_output=True, check=True
    )
    assert b"| -2" in typed.stdout

    run(link, "UPDATE t SET m = 2 WHERE id = 2")
    assert read_status(link, "app", 1).possible == "yes"
    undo(link, number)
    with pytest.raises(LinkError, match="positive"):
        run(link, "UPDATE t SET n = -1 WHERE id = 3")
    assert seen(link, "SELECT convalidated FROM pg_constraint WHERE conname = 'positive'") == "t"


def test_a_check_that_a_family_of_tables_has_comes_back_to_all_of_it(link: DirectLink) -> None:
    checks = "SELECT conrelid::regclass AS t, conname, convalidated FROM pg_constraint WHERE conname = 'positive' ORDER BY 1"
    run(link, "CREATE TABLE t (n int, CONSTRAINT positive CHECK (n > 0)); CREATE TABLE u () INHERITS (t)")
    before = seen(link, checks)
    number = migrate(link, "ALTER TABLE t DROP CONSTRAINT positive")
    assert seen(link, checks) == ""
    undo(link, number)
    assert seen(link, checks) == before == "t positive t | u positive t"


def test_b18_an_identity_column_goes_on_counting_while_it_is_hidden(link: DirectLink) -> None:
    run(
        link,
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text); INSERT INTO t (a) VALUES ('a1')",
    )
    number = migrate(link, "ALTER TABLE t DROP COLUMN id")
    run(link, "INSERT INTO t (a) VALUES ('a2'), ('a3')")
    undo(link, number)
    assert seen(link, "SELECT id, a FROM t ORDER BY id") == "1 a1 | 2 a2 | 3 a3"


def test_b18_a_column_of_a_domain_that_is_not_null_is_refused(link: DirectLink) -> None:
    run(
        link,
        "CREATE DOMAIN filled AS text NOT NULL; CREATE TABLE t (id int, a filled DEFAULT 'd', b int); INSERT INTO t VALUES (1, 'a1')",
    )
    with pytest.raises(Veto, match=r"public\.t\.a is of a domain that takes no NULL"):
        migrate(link, "ALTER TABLE t DROP COLUMN a")
    with pytest.raises(Veto, match=r"public\.t\.c is of a domain that takes no NULL"):
        migrate(link, "ALTER TABLE t ADD COLUMN c filled DEFAULT 'c'")
    assert seen(link, "SELECT id, a FROM t") == "1 a1"


def test_b18_a_generated_column_that_is_not_null_refuses_no_row(link: DirectLink, database: Database) -> None:
    run(
        link,
        "CREATE TABLE t (id int, n int, g int GENERATED ALWAYS AS (n + 1) STORED NOT NULL, b int); INSERT INTO t (id, n) VALUES (1, 1)",
    )
    number = migrate(link, "ALTER TABLE t\n-- backout: fill t.n = 5\nDROP COLUMN n CASCADE")
    run(link, "INSERT INTO t (id) VALUES (2)")
    undo(link, number)
    assert seen(link, "SELECT id, n, g FROM t ORDER BY id") == "1 1 2 | 2 5 6"


def test_b18_a_longer_value_than_an_index_holds_in_a_hidden_indexed_column(link: DirectLink) -> None:
    run(link, "CREATE TABLE t (id int, a text); CREATE INDEX i ON t (a)")
    number = migrate(link, "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN a text")
    run(
        link,
        "INSERT INTO t (id, a) SELECT 1, string_agg(gen_random_uuid()::text, '') FROM generate_series(1, 1000)",
    )
    undo(link, number)
    assert seen(link, "SELECT id, a FROM t") == "1 -"


def test_b19_a_deferred_foreign_key_on_the_table_that_is_filled(link: DirectLink, database: Database) -> None:
    run(link, "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1);"
        "CREATE TABLE t (id int, a text NOT NULL DEFAULT 'd', p int NOT NULL DEFAULT 1 REFERENCES p DEFERRABLE INITIALLY DEFERRED)")  # fmt: skip
    before = schema_of(database.url)
    number = migrate(
        link,
        "INSERT INTO t (id) SELECT 1 WHERE false; ALTER TABLE t DROP COLUMN a; ALTER TABLE t DROP COLUMN p",
    )
    run(link, "INSERT INTO t (id) VALUES (1)")
    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, "SELECT id, a, p FROM t") == "1 d 1"


def test_d27_the_journal_is_not_for_others_and_its_function_looks_nothing_up(link: DirectLink) -> None:
    run(link, "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO reader; ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO reader;"
        "CREATE TABLE t (id int)")  # fmt: skip
    migrate(link, "ALTER TABLE t ADD a int")
    told = "has_schema_privilege('reader', 'backout', 'USAGE') AS s, has_table_privilege('reader', 'backout.change', 'INSERT,UPDATE,DELETE') AS c"
    assert seen(link, f"SELECT {told}") == "f f"
    assert (
        seen(link, "SELECT proconfig FROM pg_proc WHERE proname = 'refuse'")
        == '{"search_path=pg_catalog, pg_temp"}'
    )


def test_d28_a_hidden_column_says_itself_what_it_was(link: DirectLink) -> None:
    run(link, """CREATE TABLE t (id int, "it's \\ A" text NOT NULL DEFAULT 'd')""")
    migrate(link, """ALTER TABLE t DROP COLUMN "it's \\ A" """)
    told = seen(link, "SELECT col_description('t'::regclass, 2)")
    assert told.startswith("backout: {") and "it's" in told and '"not_null": true' in told


def test_d28_after_a_dump_and_restore_nothing_is_moved_by_numbers_that_are_others_there(
    link: DirectLink,
    database: Database,
    second: Database,
    typed: Callable[..., Done],
    postgres: EmbeddedPostgres,
) -> None:
    run(
        link,
        "CREATE TABLE o (x int); CREATE TABLE t (id int PRIMARY KEY, a text, n int); INSERT INTO t VALUES (1, 'a1', 5)",
    )
    migrate(
        link,
        "ALTER TABLE t DROP COLUMN a; DROP TABLE o; ALTER TABLE t ALTER n TYPE bigint; ALTER TABLE t ADD z int",
    )
    migrate(link, "UPDATE t SET n = 7")
    undo(link, migrate(link, "CREATE TABLE later (id int)"))
    there = second.link()
    run(there, "CREATE TABLE numbers_go_on (id int)")
    programs = find_programs(postgres.binaries.directory, None)
    dump = subprocess.run([programs.path("pg_dump"), "-d", database.url], capture_output=True, check=True)
    told = [programs.path("psql"), "-Xq", "-d", second.url]
    subprocess.run(told, input=dump.stdout, capture_output=True, check=True)
    before, rows = catalog_of(there), rows_of(there)

    for verb in (("rollback", "--yes"), ("rollback", "--steps", 2, "--yes"), ("redo", "--yes")):
        refused = typed("db", *verb, DATABASE_URL=second.url)
        refused.refused(8, what="dumped and restored", now="Nothing", next="finalize --now --undone")
    found = read_status(there, "app", 1)
    assert found.possible == "no" and "dumped and restored" in found.why[0]
    assert found.redo is not None and found.redo.possible == "no"
    assert catalog_of(there) == before and rows_of(there) == rows

    one = migrate(there, "ALTER TABLE t DROP COLUMN n")
    undo(there, one)
    assert seen(there, "SELECT id, n FROM t") == "1 7"
    typed("db", "finalize", "--now", "--undone", "--yes", DATABASE_URL=second.url).ended(0)
    typed("db", "uninstall", "--yes", DATABASE_URL=second.url).ended(0)
    assert "_bo_" not in str(catalog_of(there))

"""Functions and triggers that somebody has changed behind a migration are left as they are, and that is said."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible.back import NotReversible
from backout.databases.postgres.reversible.status import read_status

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import schema_of, seen

pytestmark = pytest.mark.slow

_F = "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT {}'"
_TF = "CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
_TR = "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf()"


def refused(link, number: int, database: Database, why: str) -> None:
    there = schema_of(database.url)
    with pytest.raises(NotReversible, match=why):
        undo(link, number)
    assert schema_of(database.url) == there


def test_a_function_that_was_replaced_since_is_left(database: Database) -> None:
    link = database.link()
    run(link, _F.format(1))
    number = migrate(link, _F.format(2))
    run(link, _F.format(3))
    refused(link, number, database, r"public\.f is not as the migration left it")
    assert seen(link, "SELECT f()") == "3"
    run(link, _F.format(2))
    undo(link, number)
    assert seen(link, "SELECT f()") == "1"


def test_a_function_that_moved_since_is_not_made_a_second_time(database: Database) -> None:
    link = database.link()
    run(link, _F.format(1))
    number = migrate(link, _F.format(2))
    run(link, "ALTER FUNCTION f RENAME TO g")
    refused(link, number, database, r"it has another name or schema by now")
    assert seen(link, "SELECT g()") == "2"


def test_a_function_speaks_of_what_comes_back_after_it(database: Database) -> None:
    """Its text is put back before its table, and looked at by nobody until it is called."""
    link = database.link()
    run(link, "CREATE TABLE t (id int, a int); INSERT INTO t VALUES (1, 7);"
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT sum(a) FROM t'")  # fmt: skip
    number = migrate(
        link,
        "CREATE OR REPLACE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'; DROP TABLE t",
    )
    assert seen(link, "SELECT f()") == "0"
    undo(link, number)
    assert seen(link, "SELECT f()") == "7"
    redo(link, number)
    assert seen(link, "SELECT f()") == "0"


def test_a_trigger_that_was_switched_or_renamed_since_is_left(database: Database) -> None:
    link = database.link()
    run(link, f"CREATE TABLE t (id int); {_TF} {_TR}")
    switched = migrate(link, "ALTER TABLE t DISABLE TRIGGER tr")
    run(link, "ALTER TABLE t ENABLE ALWAYS TRIGGER tr")
    refused(link, switched, database, r"was switched by somebody else")
    run(link, "ALTER TABLE t DISABLE TRIGGER tr")
    undo(link, switched)
    made = migrate(link, _TR.replace("TRIGGER tr", "TRIGGER tr2"))
    run(link, "ALTER TRIGGER tr2 ON t RENAME TO tr3")
    refused(link, made, database, r"is called tr3 by now")


def test_a_trigger_whose_name_was_taken_since_is_left(database: Database) -> None:
    link = database.link()
    run(link, f"CREATE TABLE t (id int); {_TF} {_TR}")
    number = migrate(link, "DROP TRIGGER tr ON t")
    run(link, _TR)
    refused(link, number, database, r"another trigger has its name")


def test_what_a_hidden_trigger_was_switched_to_stays(database: Database) -> None:
    link = database.link()
    run(link, f"CREATE TABLE t (id int); {_TF} {_TR}; ALTER TABLE t ENABLE REPLICA TRIGGER tr")
    before = schema_of(database.url)
    number = migrate(link, "DROP TRIGGER tr ON t")
    undo(link, number)
    assert schema_of(database.url) == before


def test_what_a_hidden_function_needs_can_be_dropped_after_it(database: Database) -> None:
    """As in the plain database, where the function is gone."""
    link = database.link()
    run(link, "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE t (id int);"
        "CREATE FUNCTION f(mood) RETURNS mood LANGUAGE sql AS 'SELECT $1';"
        "CREATE FUNCTION g() RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t'")  # fmt: skip
    before = schema_of(database.url)
    dropped = [migrate(link, "DROP FUNCTION f(mood), g(); DROP TABLE t"), migrate(link, "DROP TYPE mood")]
    assert not schema_of(database.url)[0].tables
    for number in reversed(dropped):
        undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, "SELECT f('ok')") == "ok"


def test_what_was_made_of_a_table_that_is_dropped_then_is_not_there_when_it_comes_back(
    database: Database,
) -> None:
    link = database.link()
    run(link, f"CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 7); {_TF}")
    before = schema_of(database.url)
    number = migrate(
        link,
        f"CREATE INDEX i ON t (a); CREATE UNIQUE INDEX u ON t (a); ALTER TABLE t ADD c int DEFAULT 5, ADD CHECK (a > 0), ADD UNIQUE (a, id); {_TR}; DROP TABLE t",
    )
    undo(link, number)
    assert schema_of(database.url) == before and seen(link, "SELECT * FROM t") == "1 7"
    redo(link, number)
    undo(link, number)
    assert schema_of(database.url) == before


def test_a_column_that_was_renamed_before_its_table_was_dropped(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int, a int); INSERT INTO t VALUES (1, 7)")
    before = schema_of(database.url)
    number = migrate(link, "ALTER TABLE t RENAME a TO b; ALTER TABLE t ADD c int; DROP TABLE t")
    undo(link, number)
    assert schema_of(database.url) == before


def test_a_comment_on_the_database_comes_back(database: Database) -> None:
    link = database.link()
    comment = (
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
    )
    say = "DO $$BEGIN EXECUTE format('COMMENT ON DATABASE %I IS {}', current_database()); END$$"
    run(link, [say.format("''old''")])
    number = migrate(link, say.format("''new''"))
    undo(link, number)
    assert seen(link, comment) == "old"
    redo(link, number)
    assert seen(link, comment) == "new"


@pytest.mark.parametrize("together", [False, True])
def test_a_function_made_anew_is_the_one_that_earlier_migrations_tell_of(
    together: bool, database: Database
) -> None:
    link = database.link()
    before = schema_of(database.url)
    body = "RETURNS int LANGUAGE sql AS 'SELECT 1'"
    ups = (
        f"CREATE FUNCTION f(x int) {body}",
        "GRANT EXECUTE ON FUNCTION f TO other; ALTER FUNCTION f RENAME TO g; COMMENT ON FUNCTION g IS 'g'",
        f"CREATE OR REPLACE FUNCTION g(x int DEFAULT 1) {body}",
    )
    numbers = [migrate(link, up) for up in ups]
    after = schema_of(database.url)
    for _again in range(2):
        for some in [numbers] if together else [[one] for one in reversed(numbers)]:
            undo(link, *some)
        assert schema_of(database.url) == before
        for one in numbers:
            redo(link, one)
        assert schema_of(database.url) == after


def test_a_function_that_something_needs_by_now_is_not_made_anew(database: Database) -> None:
    link = database.link()
    run(
        link,
        "CREATE TABLE t (id int); CREATE FUNCTION f(x int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'",
    )
    number = migrate(
        link, "CREATE OR REPLACE FUNCTION f(x int DEFAULT 1) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'"
    )
    run(link, "CREATE INDEX i ON t (f(id))")
    with pytest.raises(NotReversible, match=r"is needed by index public\.i"):
        undo(link, number)
    found = read_status(link, "app", 1)
    assert (found.possible, found.why) == (
        "no",
        (
            "public.f has to be dropped to lose a default or a parameter's name, and is needed by index public.i.",
        ),
    )
    run(link, "DROP INDEX i")
    undo(link, number)

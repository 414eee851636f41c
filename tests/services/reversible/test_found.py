"""What the property test has found, each as small as it could be made: it was wrong once, and is not any more."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.proxy.keeper import Veto

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import schema_of, seen

pytestmark = pytest.mark.slow

ROWS = "INSERT INTO t (id, a) VALUES (1, 'a1'), (2, 'a2');"
ALL = "SELECT id, a FROM t ORDER BY id"


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
def test_a_row_of_the_migration_that_was_deleted_since_is_not_made_again(
    key: str, database: Database
) -> None:
    link = database.link()
    run(link, f"CREATE TABLE t (id int {key}, a text); {ROWS}")
    number = migrate(link, "INSERT INTO t VALUES (3, 'a3'), (4, 'a4'); DELETE FROM t WHERE id = 1")
    run(link, "DELETE FROM t WHERE id = 4")
    undo(link, number)
    assert seen(link, ALL) == "1 a1 | 2 a2"
    run(link, "DELETE FROM t WHERE id = 1")
    redo(link, number)
    assert seen(link, ALL) == "2 a2 | 3 a3"
    undo(link, number)
    assert seen(link, ALL) == "2 a2"


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
def test_a_row_of_the_migration_that_became_somebodys_and_was_deleted_is_not_made_again(
    key: str, database: Database
) -> None:
    link = database.link()
    run(link, f"CREATE TABLE t (id int {key}, a text); {ROWS}")
    number = migrate(link, "INSERT INTO t VALUES (3, 'a3'), (4, 'a4'); DELETE FROM t WHERE id = 1")
    run(link, "UPDATE t SET a = 'A4' WHERE id = 4")
    undo(link, number)
    # Without a key it is another row by now.
    assert seen(link, ALL) == "1 a1 | 2 a2 | 4 A4"
    run(link, "DELETE FROM t WHERE id = 4; UPDATE t SET a = 'A1' WHERE id = 1")
    redo(link, number)
    assert seen(link, ALL) == "1 A1 | 2 a2 | 3 a3"
    run(link, "DELETE FROM t WHERE id = 1")
    undo(link, number)
    assert seen(link, ALL) == "2 a2"


def test_rows_are_logged_after_a_grant(database: Database) -> None:
    link = database.link()
    run(link, f"CREATE TABLE t (id int PRIMARY KEY, a text); {ROWS}")
    number = migrate(link, "GRANT SELECT ON t TO reader; UPDATE t SET a = 'b'")
    undo(link, number)
    assert seen(link, ALL) == "1 a1 | 2 a2"


def test_a_new_column_that_is_not_required_any_more_is_not_when_it_is_made_again(database: Database) -> None:
    link = database.link()
    run(link, f"CREATE TABLE t (id int PRIMARY KEY, a text); {ROWS}")
    number = migrate(
        link, "ALTER TABLE t ADD n int NOT NULL DEFAULT 7", "ALTER TABLE t ALTER n DROP NOT NULL"
    )
    after = schema_of(database.url)
    for _ in range(2):
        undo(link, number)
        redo(link, number)
        assert schema_of(database.url) == after


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
@pytest.mark.parametrize(
    "column", ["text", "text NOT NULL DEFAULT 'd'", "int", "int DEFAULT 5", "int NOT NULL DEFAULT 5"]
)
def test_a_row_that_was_made_while_a_column_was_hidden_goes_back(
    column: str, key: str, database: Database
) -> None:
    """One transaction logs rows with the column; the next makes rows that have its mark."""
    link = database.link()
    run(link, f"CREATE TABLE t (id int {key}, n {column}, a text); {ROWS}")
    number = migrate(
        link,
        "UPDATE t SET a = 'b' WHERE id = 1; ALTER TABLE t DROP n",
        "INSERT INTO t (id, a) VALUES (5, 'a5')",
    )
    for _ in range(2):
        undo(link, number)
        assert seen(link, ALL) == "1 a1 | 2 a2"
        redo(link, number)
        assert seen(link, ALL) == "1 b | 2 a2 | 5 a5"


def test_a_copy_has_no_hidden_columns(database: Database) -> None:
    link = database.link()
    run(link, f"CREATE TABLE t (id int PRIMARY KEY, n text, a text); {ROWS}")
    number = migrate(
        link,
        "ALTER TABLE t DROP n; CREATE TABLE c AS SELECT * FROM t; CREATE TABLE d (LIKE t INCLUDING ALL); "
        "SELECT * INTO e FROM t; CREATE TABLE IF NOT EXISTS t AS SELECT 1 AS x",
    )
    for name in ("c", "d", "e"):
        told = f"SELECT attname FROM pg_attribute WHERE attrelid = '{name}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        assert seen(link, told) == "id | a"
    assert seen(link, "SELECT * FROM c ORDER BY id") == "1 a1 | 2 a2"
    undo(link, number)
    assert seen(link, "SELECT * FROM t ORDER BY id") == "1 - a1 | 2 - a2"


def test_a_copy_of_hidden_indexes_is_refused(database: Database) -> None:
    link = database.link()
    run(link, f"CREATE TABLE t (id int PRIMARY KEY, a text); CREATE INDEX i ON t (a); {ROWS}")
    with pytest.raises(Veto, match="hidden indexes out of a copy"):
        migrate(link, "DROP INDEX i; CREATE TABLE c (LIKE t INCLUDING ALL)")
    assert seen(link, "SELECT count(*) AS n FROM pg_class WHERE relname IN ('i', 'c')") == "1"


def test_a_new_column_of_a_domain_that_has_a_check(database: Database) -> None:
    """PostgreSQL writes the table anew for it."""
    link = database.link()
    run(
        link,
        f"CREATE DOMAIN above AS int CHECK (VALUE > 0); CREATE TABLE t (id int PRIMARY KEY, a text); {ROWS}",
    )
    number = migrate(link, "ALTER TABLE t ADD n above")
    run(link, "UPDATE t SET n = id")
    undo(link, number)
    redo(link, number)
    assert seen(link, "SELECT id, n FROM t ORDER BY id") == "1 1 | 2 2"


CHILD = "CREATE TABLE p (id bigint PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, p bigint CONSTRAINT fk REFERENCES p);"
BEFORE_DROP = {
    "its reference has another type": "ALTER TABLE c ALTER p TYPE int",
    "its key has another type": "ALTER TABLE p ALTER id TYPE int",
    "another reference is new": "ALTER TABLE c ADD q bigint REFERENCES p",
    "its reference has another name": "ALTER TABLE c RENAME CONSTRAINT fk TO other",
    "its reference has other actions": "ALTER TABLE c DROP CONSTRAINT fk; ALTER TABLE c ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES p ON DELETE CASCADE",
}


@pytest.mark.parametrize("apart", [False, True], ids=["in one transaction", "in one each"])
@pytest.mark.parametrize("first", BEFORE_DROP)
def test_a_table_is_dropped_whose(first: str, apart: bool, database: Database) -> None:
    """The foreign key comes back once, as it was, and proven."""
    link = database.link()
    run(link, f"{CHILD} INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1)")
    before = schema_of(database.url)
    steps = [BEFORE_DROP[first], "DROP TABLE p CASCADE"]
    number = migrate(link, *(steps if apart else ["; ".join(steps)]))
    after = schema_of(database.url)
    for _ in range(2):
        undo(link, number)
        assert schema_of(database.url) == before
        redo(link, number)
        assert schema_of(database.url) == after


def test_rows_of_a_table_that_is_dropped_after_them_go_with_the_way_back(database: Database) -> None:
    """Seed 3315: the table was hidden by then, and nobody counted what had been written to it."""
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)")
    up = "INSERT INTO t VALUES (4, 4); UPDATE t SET n = 9 WHERE id = 1; DELETE FROM t WHERE id = 2; DROP TABLE t; CREATE TABLE seeds AS SELECT 1 AS x"
    number = migrate(link, up)
    undo(link, number)
    assert seen(link, "SELECT id, n FROM t ORDER BY id") == "1 1 | 2 2 | 3 3"
    redo(link, number)
    undo(link, number)
    assert seen(link, "SELECT id, n FROM t ORDER BY id") == "1 1 | 2 2 | 3 3"
    told = [
        one.operation["called"]
        for one in journal.entries(link, (number,), "applied", "undone")
        if one.kind == "rows"
    ]
    assert told == ["public.t"]


@pytest.mark.parametrize("types", [("timestamp", "timestamptz"), ("timestamptz", "timestamp")])
@pytest.mark.parametrize("after", [False, True], ids=["changed before", "changed after"])
def test_a_column_is_filled_again_from_one_that_has_another_type_since(
    types: tuple[str, str], after: bool, database: Database
) -> None:
    """Seed 1618: what was called takes the one type, and the other one was given to it."""
    link = database.link()
    run(
        link,
        f"CREATE TABLE t (id int PRIMARY KEY, n {types[0]}); INSERT INTO t VALUES (1, '2020-01-01'), (2, '2020-01-02')",
    )
    change, fill = f"ALTER TABLE t ALTER n TYPE {types[1]}", "ALTER TABLE t ADD m date; UPDATE t SET m = n"
    number = migrate(
        link, "; ".join(["SET LOCAL TimeZone = 'UTC'", *([fill, change] if after else [change, fill])])
    )
    undo(link, number)
    run(link, "UPDATE t SET n = '2020-01-07' WHERE id = 1; INSERT INTO t VALUES (3, '2020-01-03')")
    redo(link, number)
    assert seen(link, "SELECT id, m FROM t ORDER BY id") == "1 2020-01-07 | 2 2020-01-02 | 3 2020-01-03"


def test_a_check_that_is_renamed_in_a_later_transaction_is_proven_after_the_way_forward(
    database: Database,
) -> None:
    """Seed 5515: it was looked for under its first name."""
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1)")
    number = migrate(
        link, "ALTER TABLE t ADD CONSTRAINT a CHECK (n > 0)", "ALTER TABLE t RENAME CONSTRAINT a TO b"
    )
    after = schema_of(database.url)
    undo(link, number)
    redo(link, number)
    assert schema_of(database.url) == after


def test_a_row_that_a_later_migration_changed_and_somebody_deleted_is_not_made_again(
    database: Database,
) -> None:
    """Seed 2315: between the migrations it had become somebody's."""
    link = database.link()
    run(link, f"CREATE TABLE t (id int PRIMARY KEY, a text); {ROWS}")
    first = migrate(link, "INSERT INTO t VALUES (3, 'a3'), (4, 'a4'), (5, 'a5')")
    run(link, "UPDATE t SET a = 'A' WHERE id IN (3, 4)")
    second = migrate(link, "UPDATE t SET a = a || '!', id = id + 100 WHERE id > 3; UPDATE t SET a = a || '?'")
    run(link, "DELETE FROM t WHERE id IN (3, 105)")
    undo(link, first, second)
    assert seen(link, ALL) == "1 a1 | 2 a2 | 4 A"
    run(link, "DELETE FROM t WHERE id = 4")
    for _ in range(2):
        redo(link, first)
        assert seen(link, ALL) == "1 a1 | 2 a2"
        undo(link, first)
    redo(link, first)
    redo(link, second)
    assert seen(link, ALL) == "1 a1? | 2 a2?"


def test_a_row_that_was_made_in_place_of_another_and_was_deleted_is_not_made_again(
    database: Database,
) -> None:
    link = database.link()
    run(link, f"CREATE TABLE t (id int PRIMARY KEY, a text); {ROWS}")
    first = migrate(link, "DELETE FROM t WHERE id = 1")
    second = migrate(link, "INSERT INTO t VALUES (1, 'b1')")
    run(link, "DELETE FROM t WHERE id = 1")
    undo(link, first, second)
    redo(link, first)
    redo(link, second)
    assert seen(link, ALL) == "2 a2"


def test_a_row_is_made_again_as_its_own_migration_had_made_it(database: Database) -> None:
    """Seed 2315, made smaller: it was made as the later one, which went back with it, had left it."""
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, a real, b text); INSERT INTO t VALUES (1, 1)")
    first = migrate(link, "INSERT INTO t VALUES (2, 2)")
    second = migrate(
        link,
        "UPDATE t SET a = 7; ALTER TABLE t ALTER a TYPE double precision; ALTER TABLE t ADD c text DEFAULT 'd'",
    )
    undo(link, first, second)
    redo(link, first)
    assert seen(link, "SELECT id, a FROM t ORDER BY id") == "1 1 | 2 2"
    redo(link, second)
    assert seen(link, "SELECT id, a, c FROM t ORDER BY id") == "1 7 d | 2 7 d"


FILLED, RETYPED, DROPPED = (
    "UPDATE t SET n = 7",
    "ALTER TABLE t ALTER n TYPE double precision",
    "ALTER TABLE t DROP n",
)
SEEDED = "INSERT INTO t (id, n) VALUES (2, 2)"
STEPS = {
    "changed, then another type": [f"{FILLED}; {RETYPED}"],
    "another type, then changed": [f"{RETYPED}; {FILLED}"],
    "changed, then another type of its own": [FILLED, RETYPED],
    "another type, then changed by its own": [RETYPED, FILLED],
    "made, then changed and of another type": [SEEDED, f"{FILLED}; {RETYPED}"],
    "made, changed, of another type": [SEEDED, FILLED, RETYPED],
    "made, then changed and dropped": [SEEDED, f"{FILLED}; {DROPPED}"],
    "another type, then changed and dropped": [RETYPED, f"{FILLED}; {DROPPED}"],
    "another type, made, changed": [RETYPED, SEEDED, FILLED],
    "all of it at once": [
        (
            f"{SEEDED}; ALTER TABLE t ADD c int DEFAULT 5; UPDATE t SET c = 6; {FILLED}; {RETYPED}; UPDATE t SET n = 8; "
            "UPDATE t SET c = c + 1; DELETE FROM t WHERE id = 1"
        )
    ],
}


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
@pytest.mark.parametrize("name", STEPS)
def test_rows_and_a_column_of_another_type_go_back_and_forth(name: str, key: str, database: Database) -> None:
    """What the way back of the rows wrote was taken for somebody's, and replaced what the migration had written.

    Seeds 9515 and 9115: rows were looked for when their values had been converted already.
    """
    link = database.link()
    run(link, f"CREATE TABLE t (id int {key}, n real); INSERT INTO t VALUES (1, 1)")

    def rows() -> list[tuple[object, ...]]:
        names = seen(
            link, "SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attname IN ('id', 'n')"
        )
        return link.connection.execute(
            f"SELECT {names.replace(' | ', ', ')} FROM t ORDER BY 1".encode()
        ).fetchall()

    numbers, states = [], [rows()]
    for step in STEPS[name]:
        numbers.append(migrate(link, step))
        states.append(rows())
    for _ in range(2):
        undone = undo(link, *numbers)
        assert undone.rows is not None and undone.rows.kept == ()
        assert rows() == states[0]
        for number, state in zip(numbers, states[1:], strict=True):
            redo(link, number)
            assert rows() == state
    for number, state in reversed([*zip(numbers, states, strict=False)]):
        undo(link, number)
        assert rows() == state


@pytest.mark.parametrize("type_", ["int", "bigint", "text"])
def test_a_row_that_the_migration_deleted_needs_no_value_in_a_column_that_it_made(
    type_: str, database: Database
) -> None:
    """Django drops the default behind ADD COLUMN; with some types rows without a value have one that tells them, with others NULL."""
    link = database.link()
    run(link, f"CREATE TABLE t (id int PRIMARY KEY, a text); {ROWS}")
    number = migrate(
        link,
        f"DELETE FROM t WHERE id = 1; ALTER TABLE t ADD n {type_} DEFAULT 7 NOT NULL; ALTER TABLE t ALTER n DROP DEFAULT",
    )
    after = schema_of(database.url)
    for _ in range(2):
        undo(link, number)
        assert seen(link, ALL) == "1 a1 | 2 a2"
        redo(link, number)
        assert seen(link, "SELECT id, n FROM t") == "2 7"
        assert schema_of(database.url) == after


def test_what_was_written_before_a_later_migration_is_converted_when_its_rows_are_back(
    database: Database,
) -> None:
    """They were converted before: rows that it had deleted came back without a value, others with its own."""
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, n real); INSERT INTO t VALUES (1, 1)")
    first = migrate(link, RETYPED)
    run(link, "INSERT INTO t (id, n) VALUES (2, 2), (3, 3); UPDATE t SET n = 11 WHERE id = 1")
    second = migrate(link, "DELETE FROM t WHERE id < 3; UPDATE t SET n = 33")
    for _ in range(2):
        undone = undo(link, first, second)
        assert undone.rows is not None and undone.rows.kept == ()
        assert seen(link, "SELECT id, n FROM t ORDER BY id") == "1 11 | 2 2 | 3 3"
        redo(link, first)
        redone = redo(link, second)
        assert redone.rows is not None and redone.rows.kept == ()
        assert seen(link, "SELECT id, n FROM t ORDER BY id") == "3 33"


def test_the_same_where_others_took_over_its_values(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL); INSERT INTO t VALUES (1, 1)")
    first = migrate(link, "ALTER TABLE t ADD m int; UPDATE t SET m = n; ALTER TABLE t DROP n")
    run(link, "INSERT INTO t (id, m) VALUES (2, 2), (3, 3); UPDATE t SET m = 11 WHERE id = 1")
    second = migrate(link, "DELETE FROM t WHERE id < 3; UPDATE t SET m = 33")
    undo(link, first, second)
    assert seen(link, "SELECT id, n FROM t ORDER BY id") == "1 11 | 2 2 | 3 3"


TWO_TYPES = "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 4 CHECK (n > 0), b text)"


@pytest.mark.parametrize(
    "between",
    [
        "",
        "UPDATE t SET n = 7 WHERE id = 1;",
        "ALTER TABLE t ALTER n DROP NOT NULL;",
        "INSERT INTO t (id, n) VALUES (2, 2);",
    ],
)
def test_a_column_gets_another_type_and_is_dropped(between: str, database: Database) -> None:
    """Seed 5415: the one that took its place was dropped, and then looked for."""
    link = database.link()
    run(link, f"{TWO_TYPES}; INSERT INTO t VALUES (1, 1)")
    before = schema_of(database.url)
    number = migrate(
        link, f"ALTER TABLE t ALTER n TYPE bigint; {between} ALTER TABLE t DROP n; ALTER TABLE t ADD c int"
    )
    after = schema_of(database.url)
    for _ in range(2):
        undo(link, number)
        assert schema_of(database.url) == before
        assert seen(link, "SELECT id, n FROM t ORDER BY id") == "1 1"
        redo(link, number)
        assert schema_of(database.url) == after
    run(link, "INSERT INTO t (id) VALUES (3)")
    undo(link, number)
    assert seen(link, "SELECT id, n FROM t ORDER BY id") == "1 1 | 3 4"


def test_a_column_gets_another_type_that_is_dropped_with_it(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, n text); INSERT INTO t VALUES (1, 'x')")
    before = schema_of(database.url)
    change = "ALTER TABLE t ALTER n TYPE two USING n::two"
    number = migrate(link, f"CREATE TYPE two AS ENUM ('x', 'y'); {change}; DROP TYPE two CASCADE")
    for _ in range(2):
        undo(link, number)
        assert schema_of(database.url) == before
        assert seen(link, "SELECT id, n FROM t ORDER BY id") == "1 x"
        redo(link, number)


def test_a_row_without_a_value_is_told_though_others_write_it_first(database: Database) -> None:
    """Seed 3418: it was stopped by the name of a constraint of ours."""
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'a')")
    number = migrate(
        link,
        "ALTER TABLE t ADD b text; UPDATE t SET b = a; ALTER TABLE t ALTER b SET NOT NULL",
        "ALTER TABLE t ADD c int REFERENCES t",
    )
    undo(link, number)
    run(link, "INSERT INTO t VALUES (2, NULL)")
    with pytest.raises(
        back.NotReversible, match=r"t\.b has no value in 1 row written while it was hidden, and needs one"
    ):
        redo(link, number)
    run(link, "DELETE FROM t WHERE id = 2")
    redo(link, number)


def test_a_key_is_dropped_and_then_its_table(database: Database) -> None:
    """Seed 3415: it was refused, as the table was hidden when the key was asked for."""
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, n int UNIQUE); CREATE UNIQUE INDEX i ON t (n, id)")
    before = schema_of(database.url)
    keys = "ALTER TABLE t DROP CONSTRAINT t_n_key; ALTER TABLE t DROP CONSTRAINT t_pkey; DROP INDEX i"
    number = migrate(link, f"{keys}; DROP TABLE t")
    for _ in range(2):
        undo(link, number)
        assert schema_of(database.url) == before
        redo(link, number)


def test_a_row_of_a_truncate_that_became_somebodys_is_not_there_twice(database: Database) -> None:
    """Seed 20025: without a key nobody knew that it was there."""
    link = database.link()
    run(link, f"CREATE TABLE t (id int NOT NULL, a text); {ROWS} {ROWS}")
    number = migrate(link, "TRUNCATE t")
    undo(link, number)
    run(link, "UPDATE t SET a = 'A1' WHERE ctid IN (SELECT ctid FROM t WHERE id = 1 LIMIT 1)")
    redo(link, number)
    assert seen(link, ALL) == "1 A1"
    undo(link, number)
    assert seen(link, 'SELECT id, a FROM t ORDER BY id, a COLLATE "C"') == "1 A1 | 1 a1 | 2 a2 | 2 a2"


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
def test_a_row_that_was_changed_in_a_column_that_is_dropped_is_not_deleted_again(
    key: str, database: Database
) -> None:
    """Seed 5018."""
    link = database.link()
    run(link, f"CREATE TABLE t (id int {key}, n int, a text); {ROWS}")
    number = migrate(link, "DELETE FROM t; ALTER TABLE t DROP n")
    undo(link, number)
    run(link, "UPDATE t SET n = 5 WHERE id = 1")
    redo(link, number)
    assert seen(link, ALL) == "1 a1"


def test_a_row_that_had_no_value_before_a_change_of_a_type_goes_back_though_it_must_have_one_since(
    database: Database,
) -> None:
    """The way back wrote it while NOT NULL was there still, and it stayed as it was."""
    link = database.link()
    run(
        link,
        "CREATE TABLE t (id int PRIMARY KEY, n int, a numeric(5, 2)); INSERT INTO t VALUES (1, NULL, 1), (2, NULL, 2)",
    )
    before, rows = schema_of(database.url), seen(link, "SELECT id, n FROM t ORDER BY id")
    number = migrate(
        link,
        "ALTER TABLE t ALTER a TYPE numeric(8, 3); UPDATE t SET n = 1 WHERE id = 1; DELETE FROM t WHERE id = 2; ALTER TABLE t ALTER n SET NOT NULL",
    )
    after = schema_of(database.url)
    for _ in range(2):
        undone = undo(link, number)
        assert undone.rows is not None and undone.rows.kept == ()
        assert seen(link, "SELECT id, n FROM t ORDER BY id") == rows
        assert schema_of(database.url) == before
        redo(link, number)
        assert seen(link, "SELECT id, n FROM t ORDER BY id") == "1 1"
        assert schema_of(database.url) == after


@pytest.mark.parametrize(
    "up",
    [
        "ALTER TABLE t ALTER a TYPE numeric(8, 3); UPDATE t SET n = 1; ALTER DOMAIN d SET NOT NULL",
        "UPDATE t SET n = 1; ALTER DOMAIN d SET NOT NULL",
        "ALTER TABLE t ALTER a TYPE numeric(8, 3); UPDATE t SET n = 1; ALTER DOMAIN d ADD CHECK (VALUE > 0)",
        "UPDATE t SET m = id WHERE m IS NULL; ALTER TABLE t ALTER m SET NOT NULL, ALTER m ADD GENERATED BY DEFAULT AS IDENTITY",
    ],
)
def test_what_rows_must_not_be_since_holds_neither_before_nor_after_they_are_back(
    up: str, database: Database
) -> None:
    link = database.link()
    run(
        link,
        "CREATE DOMAIN d AS int; CREATE TABLE t (id int PRIMARY KEY, n d, m int, a numeric(5, 2)); INSERT INTO t VALUES (1, NULL, NULL, 1), (2, -2, 6, 2)",
    )
    before, rows = schema_of(database.url), seen(link, "SELECT * FROM t ORDER BY id")
    number = migrate(link, up)
    after, later = schema_of(database.url), seen(link, "SELECT id, n, m, a FROM t ORDER BY id")
    for _ in range(2):
        undone = undo(link, number)
        assert undone.rows is not None and undone.rows.kept == ()
        assert seen(link, "SELECT id, n, m, a FROM t ORDER BY id") == rows
        assert schema_of(database.url) == before
        redone = redo(link, number)
        assert redone.rows is not None and redone.rows.kept == ()
        assert seen(link, "SELECT id, n, m, a FROM t ORDER BY id") == later
        assert schema_of(database.url) == after


@pytest.mark.parametrize(
    "up", ["ALTER TABLE t ADD CONSTRAINT u UNIQUE (n, id)", "CREATE UNIQUE INDEX u ON t (n, id)"]
)
def test_a_key_is_not_built_again_over_a_column_that_the_same_migration_drops(
    up: str, database: Database
) -> None:
    """Seed 20127: it was, under its own name and over the hidden column."""
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 2)")
    before = schema_of(database.url)
    number = migrate(link, up, "ALTER TABLE t DROP COLUMN n")
    after = schema_of(database.url)
    for _ in range(2):
        undo(link, number)
        assert schema_of(database.url) == before
        redo(link, number)
        assert schema_of(database.url) == after


def test_rows_that_go_back_do_not_count_as_written_where_others_took_a_column_over(
    database: Database,
) -> None:
    """The demo's release 6: the way back emptied the new columns, and then computed the dropped one from them."""
    link = database.link()
    run(
        link,
        "CREATE TABLE t (id int PRIMARY KEY, n int, both_ text NOT NULL, seats int); INSERT INTO t VALUES (1, 1, 'a b', 1), (2, NULL, 'c d', 2)",
    )
    rows = seen(link, "SELECT id, n, both_, seats FROM t ORDER BY id")
    number = migrate(
        link,
        "DELETE FROM t WHERE n = 1; UPDATE t SET n = 7 WHERE n IS NULL; ALTER TABLE t ALTER seats TYPE bigint;"
        "ALTER TABLE t ADD one text, ADD two text; UPDATE t SET one = split_part(both_, ' ', 1), two = split_part(both_, ' ', 2);"
        "ALTER TABLE t\n-- backout: back t.both_ = concat_ws(' ', one, two)\nDROP COLUMN both_",
    )
    later = seen(link, "SELECT id, n, one, two, seats FROM t ORDER BY id")
    for _ in range(2):
        undo(link, number)
        assert seen(link, "SELECT id, n, both_, seats FROM t ORDER BY id") == rows
        redo(link, number)
        assert seen(link, "SELECT id, n, one, two, seats FROM t ORDER BY id") == later
    run(link, "UPDATE t SET two = 'D' WHERE id = 2")
    undo(link, number)
    assert seen(link, "SELECT id, n, both_, seats FROM t ORDER BY id") == rows.replace("c d", "c D")


def test_a_domain_that_two_migrations_made_strict_and_lenient_goes_back_at_once(database: Database) -> None:
    link = database.link()
    run(link, "CREATE DOMAIN d AS int; CREATE TABLE t (id int PRIMARY KEY, n d); INSERT INTO t VALUES (1, 1)")
    before = schema_of(database.url)
    first = migrate(link, "ALTER DOMAIN d SET NOT NULL")
    between = schema_of(database.url)
    second = migrate(link, "ALTER DOMAIN d DROP NOT NULL")
    undo(link, first, second)
    assert schema_of(database.url) == before
    redo(link, first)
    assert schema_of(database.url) == between
    redo(link, second)
    undo(link, second)
    assert schema_of(database.url) == between


@pytest.mark.parametrize("kind", ["varchar(20)", "uuid"])
def test_rows_that_the_migration_deletes_need_no_value_in_required_columns_that_it_makes(
    kind: str, database: Database
) -> None:
    link = database.link()
    run(link, f"CREATE TABLE t (id int PRIMARY KEY, a varchar(20) NOT NULL); {ROWS}")
    number = migrate(
        link,
        f"DELETE FROM t; ALTER TABLE t ADD b {kind} NOT NULL; ALTER TABLE t ADD c {kind} NOT NULL; ALTER TABLE t DROP a",
        answers={"t.a": "''"},
    )
    value = "00000000-0000-0000-0000-000000000001" if kind == "uuid" else "b"
    run(link, f"INSERT INTO t (id, b, c) VALUES (2, '{value}', '{value}'), (3, '{value}', '{value}')")
    rows, after = "SELECT id, b, c FROM t ORDER BY id", schema_of(database.url)
    since = seen(link, rows)
    for _ in range(2):
        undo(link, number)
        assert seen(link, ALL) == "1 a1 | 2  | 3 "
        redo(link, number)
        assert (seen(link, rows), schema_of(database.url)) == (since, after)


@pytest.mark.parametrize(
    "script",
    [
        "ALTER TABLE t ALTER d TYPE text; DROP INDEX t_d",
        "DROP INDEX t_d; ALTER TABLE t ALTER d TYPE text",
        "DROP INDEX t_d; ALTER TABLE t ALTER d TYPE text; ALTER TABLE t RENAME d TO e; CREATE INDEX t_e ON t (e)",
        "ALTER TABLE t ALTER d TYPE text; DROP INDEX t_once",
        "DROP INDEX t_once; ALTER TABLE t ALTER d TYPE text",
        "ALTER TABLE t ALTER d TYPE varchar(20); ALTER TABLE t ALTER d TYPE text; DROP INDEX t_d, t_once",
        "ALTER TABLE t ALTER d TYPE text; ALTER TABLE t DROP CONSTRAINT t_check",
        "ALTER TABLE t DROP CONSTRAINT t_check; ALTER TABLE t ALTER d TYPE text",
        "ALTER TABLE t ALTER u TYPE text; ALTER TABLE t DROP CONSTRAINT t_key",
        "ALTER TABLE t DROP CONSTRAINT t_key; ALTER TABLE t ALTER u TYPE text",
    ],
)
def test_what_is_dropped_in_the_transaction_that_changes_its_type_in_place_comes_back(
    script: str, database: Database
) -> None:
    link = database.link()
    run(
        link,
        "CREATE TABLE t (id int PRIMARY KEY, d varchar(10) NOT NULL, u varchar(10), CONSTRAINT t_check CHECK (d <> ''),"
        "CONSTRAINT t_key UNIQUE (u)); CREATE INDEX t_d ON t (d); CREATE UNIQUE INDEX t_once ON t (d);"
        "INSERT INTO t VALUES (1, 'a', 'a'), (2, 'b', 'b')",
    )
    before, rows = schema_of(database.url), seen(link, "SELECT * FROM t ORDER BY id")
    number = migrate(link, script)
    after = schema_of(database.url)
    for _ in range(2):
        undo(link, number)
        assert (schema_of(database.url), seen(link, "SELECT * FROM t ORDER BY id")) == (before, rows)
        redo(link, number)
        assert schema_of(database.url) == after


@pytest.mark.parametrize(
    "up",
    [
        "ALTER TABLE t ADD n varchar; ALTER TABLE t ALTER n TYPE uuid USING n::uuid",
        "SELECT now(); ALTER TABLE t ADD n int; SELECT pg_catalog.version(); ALTER TABLE t ALTER n TYPE text USING n::text",
        "SELECT now(); ALTER TABLE t ADD n uuid DEFAULT gen_random_uuid()",
    ],
)
def test_a_table_is_written_anew_for_a_column_of_the_transaction(up: str, database: Database) -> None:
    link = database.link()
    run(link, f"CREATE TABLE t (id int PRIMARY KEY, a text); {ROWS}")
    before = schema_of(database.url)
    number = migrate(link, up)
    after = schema_of(database.url)
    run(link, "INSERT INTO t (id, a) VALUES (3, 'a3')")
    for _ in range(2):
        undo(link, number)
        assert schema_of(database.url) == before
        assert seen(link, ALL) == "1 a1 | 2 a2 | 3 a3"
        redo(link, number)
        assert schema_of(database.url) == after


EMPTIES = "LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN TRUNCATE t; RETURN {}; END $$"


@pytest.mark.parametrize(
    ("made", "ran"),
    [
        ("", "SELECT f()"),
        ("CREATE TABLE o (n int); CREATE TRIGGER e AFTER INSERT ON o EXECUTE FUNCTION g()", "INSERT INTO o VALUES (1)"),
        ("CREATE VIEW v AS SELECT f()", "SELECT * FROM v"),
        ("CREATE TABLE o (n int DEFAULT f(), m int)", "INSERT INTO o (m) VALUES (1)"),
        ("CREATE FUNCTION h() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM f(); RETURN NULL; END $$; CREATE TABLE o (n int); CREATE TRIGGER e AFTER INSERT ON o EXECUTE FUNCTION h()", "INSERT INTO o VALUES (1)"),
    ],
    ids=["called", "trigger", "view", "default", "trigger that calls it"],
)  # fmt: skip
@pytest.mark.parametrize("new", ["n int DEFAULT 1", "n uuid DEFAULT gen_random_uuid()", "n int"])
def test_a_function_that_may_have_emptied_a_table_beside_a_new_column_is_refused(
    made: str, ran: str, new: str, database: Database
) -> None:
    link = database.link()
    run(
        link,
        f"CREATE TABLE t (id int PRIMARY KEY, a text); {ROWS} CREATE FUNCTION f() RETURNS int {EMPTIES.format(1)}; "
        f"CREATE FUNCTION g() RETURNS trigger {EMPTIES.format('NULL')}; {made}",
    )
    with pytest.raises(Veto, match="another filenode"):
        migrate(link, f"{ran}; ALTER TABLE t ADD {new}")
    assert seen(link, ALL) == "1 a1 | 2 a2"

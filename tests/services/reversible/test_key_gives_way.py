"""A column that numbers itself, and is the primary key, is dropped, and its table gets another primary key."""

from __future__ import annotations

import pytest

from .conftest import Database
from .engine import migrate, redo, run, undo
from .servers import by_turns
from .states import schema_of, seen

pytestmark = pytest.mark.slow

COLUMNS = {
    "serial": "id serial CONSTRAINT k PRIMARY KEY",
    "identity": "id int GENERATED ALWAYS AS IDENTITY CONSTRAINT k PRIMARY KEY",
    "of two": "id serial, z int DEFAULT 7, CONSTRAINT k PRIMARY KEY (z, id)",
}
DROP = "ALTER TABLE t DROP id"
MADE = {
    "a column and a key": "ALTER TABLE t ADD n uuid DEFAULT gen_random_uuid() NOT NULL; ALTER TABLE t ADD CONSTRAINT k2 PRIMARY KEY (n)",
    "a column with it": "ALTER TABLE t ADD id uuid DEFAULT gen_random_uuid() PRIMARY KEY",
    "a column that was there": "ALTER TABLE t RENAME TO u; ALTER TABLE u ADD PRIMARY KEY (a)",
    "an index": "CREATE UNIQUE INDEX j ON t (a); ALTER TABLE t ALTER a SET NOT NULL; ALTER TABLE t ADD CONSTRAINT k2 PRIMARY KEY USING INDEX j",
    "in the same statement": "ALTER TABLE t DROP x, ADD CONSTRAINT k2 PRIMARY KEY (a)",
}
APART = ("one transaction", "two", "two migrations")
CASES = {
    f"{column}: {made}, {apart}": (column, made, apart)
    for apart in APART
    for column in COLUMNS
    for made in MADE
    if column == "serial" or made == "a column and a key"
}


def there_and_back(database: Database, groups: list[list[str]], table: str) -> None:
    link = database.link()
    states, numbers = [schema_of(database.url)], []
    for scripts in groups:
        numbers.append(migrate(link, *scripts))
        states.append(schema_of(database.url))
    for _ in range(2):
        run(link, f"INSERT INTO {table} (a) SELECT 'n' || count(*) FROM {table}")
        for number, state in zip(reversed(numbers), reversed(states[:-1]), strict=True):
            undo(link, number)
            assert schema_of(database.url) == state
        run(link, "INSERT INTO t (a) SELECT 'o' || count(*) FROM t")
        for number, state in zip(numbers, states[1:], strict=True):
            redo(link, number)
            assert schema_of(database.url) == state
    undo(link, *numbers)
    found = seen(link, "SELECT count(*) AS n, count(id) AS ids, count(DISTINCT id) AS own FROM t")
    assert found == "6 6 6"
    redo(link, *numbers)
    assert schema_of(database.url) == states[-1]


@pytest.mark.parametrize(("server", "name"), by_turns(CASES), indirect=["server"])
def test_a_key_gives_way_and_comes_back(name: str, database: Database) -> None:
    link = database.link()
    column, made, apart = CASES[name]
    run(link, f"CREATE TABLE t ({COLUMNS[column]}, a text, x int); INSERT INTO t (a) VALUES ('a'), ('b')")
    groups = {
        "one transaction": [[f"{DROP}; {MADE[made]}"]],
        "two": [[DROP, MADE[made]]],
        "two migrations": [[DROP], [MADE[made]]],
    }[apart]
    there_and_back(database, groups, "u" if " TO u" in MADE[made] else "t")


def test_the_key_of_a_column_that_was_taken_back_gives_way_to_another_migrations(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (a text, x int); INSERT INTO t (a) VALUES ('a'), ('b')")
    undo(link, migrate(link, "ALTER TABLE t ADD id serial PRIMARY KEY"))
    before = schema_of(database.url)
    number = migrate(link, "ALTER TABLE t ADD PRIMARY KEY (a)")
    after = schema_of(database.url)
    for _ in range(2):
        undo(link, number)
        assert schema_of(database.url) == before
        redo(link, number)
        assert schema_of(database.url) == after

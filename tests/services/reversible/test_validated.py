"""VALIDATE CONSTRAINT of what was made NOT VALID before, over several migrations: each way back brings what was before its own."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.after import finish
from backout.databases.postgres.reversible.link import LinkError
from backout.databases.postgres.reversible.proxy.keeper import Veto

from .conftest import Database
from .engine import migrate, redo, run, undo, undo_leaving
from .states import schema_of, seen

pytestmark = pytest.mark.slow

TABLES = (
    "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1); CREATE TABLE c (id int PRIMARY KEY, p int, a int); "
    "INSERT INTO c VALUES (1, 1, 1)"
)
MADE = {
    "foreign key": "ALTER TABLE c ADD CONSTRAINT k FOREIGN KEY (p) REFERENCES p NOT VALID",
    "CHECK": "ALTER TABLE c ADD CONSTRAINT k CHECK (p > 0 AND a > 0) NOT VALID",
}
PROVEN = "ALTER TABLE c VALIDATE CONSTRAINT k"
LATER = {
    "nothing": (),
    "its column goes": ("ALTER TABLE c DROP COLUMN p",),
    "it goes": ("ALTER TABLE c DROP CONSTRAINT k",),
    "its table goes": ("DROP TABLE c",),
    "it gets another name": ("ALTER TABLE c RENAME CONSTRAINT k TO l",),
    "its table gets another name": ("ALTER TABLE c RENAME p TO q", "ALTER TABLE c RENAME TO d"),
    "its column gets another type": ("ALTER TABLE c ALTER p TYPE bigint",),
}


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("made", MADE)
def test_one_after_the_other_there_and_back(made: str, later: str, database: Database) -> None:
    link = database.link()
    run(link, TABLES)
    states, numbers = [schema_of(database.url)], []
    for one in (MADE[made], PROVEN, *LATER[later]):
        numbers.append(migrate(link, one))
        states.append(schema_of(database.url))
    for _ in range(2):
        for number, state in zip(reversed(numbers), reversed(states[:-1]), strict=True):
            undo(link, number)
            assert schema_of(database.url) == state
        for number, state in zip(numbers, states[1:], strict=True):
            redo(link, number)
            assert schema_of(database.url) == state


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("made", MADE)
def test_all_at_once_there_and_back(made: str, later: str, database: Database) -> None:
    link = database.link()
    run(link, f"{TABLES}; {MADE[made]}")
    before = schema_of(database.url)
    numbers = [migrate(link, one) for one in (PROVEN, *LATER[later])]
    after = schema_of(database.url)
    for _ in range(2):
        undo(link, *numbers)
        assert schema_of(database.url) == before
        redo(link, *numbers)
        assert schema_of(database.url) == after


@pytest.mark.parametrize("made", MADE)
def test_in_one_migration_of_two_transactions(made: str, database: Database) -> None:
    link = database.link()
    run(link, TABLES)
    before = schema_of(database.url)
    number = migrate(link, MADE[made], f"{PROVEN}; ALTER TABLE c RENAME CONSTRAINT k TO l")
    after = schema_of(database.url)
    for _ in range(2):
        undo(link, number)
        assert schema_of(database.url) == before
        redo(link, number)
        assert schema_of(database.url) == after


def test_what_is_written_is_looked_at_all_the_time_and_stays(database: Database) -> None:
    link = database.link()
    run(link, f"{TABLES}; {MADE['foreign key']}")
    number = migrate(link, PROVEN)
    run(link, "INSERT INTO p VALUES (2); INSERT INTO c VALUES (2, 2, 2)")
    undo(link, number)
    with pytest.raises(Exception, match="violates foreign key"):
        run(link, "INSERT INTO c VALUES (3, 3, 3)")
    run(link, "INSERT INTO p VALUES (4); INSERT INTO c VALUES (4, 4, 4)")
    redo(link, number)
    assert seen(link, "SELECT id, p FROM c ORDER BY id") == "1 1 | 2 2 | 4 4"


def test_rows_that_came_past_it_meanwhile_are_told_and_kept(database: Database) -> None:
    link = database.link()
    run(link, f"{TABLES}; {MADE['CHECK']}")
    before = schema_of(database.url)
    number = migrate(link, PROVEN)
    undo(link, number)
    run(link, "ALTER TABLE c DROP CONSTRAINT k; INSERT INTO c VALUES (2, -1, 2)")
    run(link, MADE["CHECK"])
    (chosen,) = journal.migrations(link)
    back.redo(link, [chosen], patience_s=5)
    (failed,) = finish(link).unfinished
    assert failed.statement == 'ALTER TABLE "public"."c" VALIDATE CONSTRAINT "k"'
    assert undo_leaving(link, number) == ()
    assert schema_of(database.url) == before
    assert seen(link, "SELECT id, p FROM c ORDER BY id") == "1 1 | 2 -1"


def test_a_check_of_a_table_below_that_held_already_is_refused(database: Database) -> None:
    """Made again with the one that it comes from, it would be NOT VALID, too."""
    link = database.link()
    run(link, f"{TABLES}; {MADE['CHECK']}; CREATE TABLE d () INHERITS (c)")
    before = schema_of(database.url)
    with pytest.raises(Veto, match="another valid"):
        migrate(link, PROVEN)
    assert schema_of(database.url) == before


ROWS = "SELECT id, p, a FROM c ORDER BY id"


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("proven", [f"; {PROVEN}", ""], ids=["proven with it", "left as it is"])
def test_rows_that_do_not_meet_it_are_put_right_and_come_back_as_they_were(
    made: str, proven: str, database: Database
) -> None:
    link = database.link()
    run(
        link,
        f"{TABLES}; INSERT INTO c VALUES (2, -7, 2), (3, -8, 3); {MADE[made]}; COMMENT ON CONSTRAINT k ON c IS 'kept'",
    )
    before = schema_of(database.url)
    number = migrate(link, f"UPDATE c SET p = NULL WHERE p < 0{proven}")
    after = schema_of(database.url)
    for _ in range(2):
        run(link, "INSERT INTO c VALUES (4, 1, 4); UPDATE c SET a = 33 WHERE id = 3")
        done = undo(link, number)
        assert (schema_of(database.url), done.residues) == (before, [])
        assert seen(link, ROWS) == "1 1 1 | 2 -7 2 | 3 -8 33 | 4 1 4"
        with pytest.raises(LinkError, match="violates"):
            run(link, "INSERT INTO c VALUES (5, -1, 5)")
        redo(link, number)
        assert schema_of(database.url) == after
        assert seen(link, ROWS) == "1 1 1 | 2 - 2 | 3 - 33 | 4 1 4"
        run(link, "DELETE FROM c WHERE id = 4")

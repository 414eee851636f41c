"""What a way forward does not do again is told before it, by it, and by `db status`, which says whether it could be gone."""

from __future__ import annotations

import pytest

from backout.app.migrations import Migrations
from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.asking import Asking
from backout.databases.postgres.reversible.catalog import read_alone
from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.reversible.not_again import not_again

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import seen

pytestmark = pytest.mark.slow

BEFORE = """
CREATE TABLE orders (id int PRIMARY KEY, total int NOT NULL, note text);
INSERT INTO orders VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c');
CREATE TABLE alembic_version (version_num text PRIMARY KEY);
INSERT INTO alembic_version VALUES ('1');
"""
SINCE = "INSERT INTO orders (id, total) VALUES (4, 40), (5, 50); UPDATE orders SET note = 'd' WHERE id = 1"
TOLD = "3 row(s) of public.orders were written since migration {0} was taken back: what its {1} did to earlier rows is not done to them"


@pytest.fixture
def link(database: Database) -> DirectLink:
    made = database.link()
    run(made, BEFORE)
    return made


def told(database: Database) -> tuple[str, ...]:
    found = Migrations(database.url).status().redo
    assert found is not None
    return found.not_again


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE orders SET total = total * 100", "UPDATE"),
        ("DELETE FROM orders WHERE id = 3", "DELETE"),
        ("ALTER TABLE orders ADD n int; UPDATE orders SET n = 1, total = total * 100; DELETE FROM orders WHERE id = 3",
         "UPDATE and DELETE"),
        ("DO $$BEGIN UPDATE orders SET total = total * 100; END$$", "UPDATE"),
        ("INSERT INTO orders VALUES (2, 1) ON CONFLICT (id) DO UPDATE SET total = orders.total * 100", "UPDATE"),
    ],
)  # fmt: skip
def test_rows_written_since_do_not_get_what_a_migration_did_to_earlier_ones(
    link: DirectLink, database: Database, statement: str, what: str
) -> None:
    number = migrate(link, statement)
    assert Migrations(database.url).status().redo is None
    undo(link, number)
    assert told(database) == ()
    run(link, SINCE)
    expected = (TOLD.format(number, what),)
    assert told(database) == expected
    assert Migrations(database.url).redo(dry_run=True).residues == expected
    assert Migrations(database.url).redo().residues == expected
    assert seen(link, "SELECT total FROM orders WHERE id > 3 ORDER BY id") == "40 | 50"


def test_a_column_is_filled_again_by_its_own_migration_and_not_by_a_later_one(
    link: DirectLink, database: Database
) -> None:
    first = migrate(link, "ALTER TABLE orders ADD doubled int; UPDATE orders SET doubled = total * 2")
    undo(link, first)
    run(link, SINCE)
    assert told(database) == ()
    redo(link, first)
    second = migrate(link, "ALTER TABLE orders ADD halved int", "UPDATE orders SET doubled = total * 3")
    undo(link, second)
    run(link, "INSERT INTO orders VALUES (6, 60), (7, 70), (8, 80)")
    assert told(database) == (TOLD.format(second, "UPDATE"),)


def test_a_tools_own_history_is_no_news(link: DirectLink, database: Database) -> None:
    number = migrate(link, "UPDATE alembic_version SET version_num = '2'")
    undo(link, number)
    run(link, "UPDATE alembic_version SET version_num = '0'")
    assert told(database) == ()


def test_rows_that_cannot_be_counted_in_time_are_told_as_unknown(link: DirectLink) -> None:
    number = migrate(link, "UPDATE orders SET total = 0")
    undo(link, number)
    entries = journal.entries(link, (number,), "undone")
    (one,) = not_again(Asking(link, ends_s=0), read_alone(link), entries)
    assert one.startswith(f"rows of public.orders may have been written since migration {number}")
    assert "not counted: no time was left for it" in one


@pytest.mark.parametrize(
    ("meanwhile", "why"),
    [
        ("", ()),
        ("ALTER TABLE orders ADD n text", ("public.orders.n cannot be made again: another column has its name.",)),
        ("CREATE TABLE made (id int)", ("public.made cannot be made again: another table has its name.",)),
        ("DROP TABLE backout_hidden._bo_{made}", ("public.made is not hidden any more.",)),
        ("ALTER TABLE orders DROP note", ("public.orders.note is not there any more.",)),
        ("ALTER TABLE orders RENAME total TO sum", ("public.orders.price is called sum now.",)),
    ],
)  # fmt: skip
def test_status_says_what_stands_in_the_way_of_a_redo(
    link: DirectLink, database: Database, meanwhile: str, why: tuple[str, ...]
) -> None:
    number = migrate(
        link,
        "ALTER TABLE orders ADD n int; CREATE TABLE made (id int); ALTER TABLE orders DROP note; "
        "ALTER TABLE orders RENAME total TO price",
    )
    undo(link, number)
    made = seen(link, "SELECT id FROM backout.change WHERE kind = 'table.added'")
    if meanwhile:
        run(link, meanwhile.format(made=made))
    found = Migrations(database.url).status().redo
    assert found is not None
    assert [one.id for one in found.migrations] == [number]
    assert (found.possible, found.why) == ("no" if why else "yes", why)


def test_a_later_migration_stands_in_the_way_of_a_redo(link: DirectLink, database: Database) -> None:
    first = migrate(link, "ALTER TABLE orders ADD n int")
    undo(link, first)
    second = migrate(link, "ALTER TABLE orders ADD m int")
    found = Migrations(database.url).status().redo
    assert found is not None and found.possible == "no"
    assert found.why == (
        f"Migration {second} came after it and is applied: backout db rollback takes that back first.",
    )

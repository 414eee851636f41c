"""A type is changed beside what was dropped before: an enum of the same name, an index that spoke of the column."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.finalize import finalize

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import schema_of, seen
from .test_retype import printed, same, values

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("default", ["DROP DEFAULT", "SET DEFAULT 'new'::text"])
def test_a_label_is_taken_out_of_an_enum_by_another_one_of_its_name(database: Database, default: str) -> None:
    """As drizzle-kit does it; the answer is about the first of the two changes."""
    link = database.link()
    run(
        link,
        """CREATE TYPE status AS ENUM ('new', 'lost', 'sent');
        CREATE TABLE t (id int PRIMARY KEY, c status NOT NULL DEFAULT 'new');
        INSERT INTO t VALUES (1, 'new'), (2, 'lost'), (3, 'sent')""",
    )
    before = printed(link)
    number = migrate(
        link,
        f"""UPDATE t SET c = 'new' WHERE c = 'lost';
        ALTER TABLE t ALTER c SET DATA TYPE text;
        ALTER TABLE t ALTER c {default};
        DROP TYPE status;
        CREATE TYPE status AS ENUM ('new', 'sent');
        ALTER TABLE t ALTER c SET DEFAULT 'new'::status;
        ALTER TABLE t ALTER c SET DATA TYPE status USING c::status""",
        answers={"back t.c": "c::status", "t.c": "'new'"},
    )
    after = printed(link)
    run(link, "UPDATE t SET c = 'sent' WHERE id = 1; INSERT INTO t (id, c) VALUES (4, 'sent')")
    undo(link, number)
    assert same(before, printed(link)) == []
    assert values(link) == {"1": "sent", "2": "lost", "3": "sent", "4": "sent"}
    redo(link, number)
    assert same(after, printed(link)) == []
    assert values(link) == {"1": "sent", "2": "new", "3": "sent", "4": "sent"}


def test_a_label_is_taken_out_of_an_enum_that_a_column_has_an_array_of(database: Database) -> None:
    link = database.link()
    run(
        link,
        """CREATE TYPE mood AS ENUM ('good', 'none');
        CREATE TABLE t (id int PRIMARY KEY, c mood[] NOT NULL DEFAULT '{none}');
        INSERT INTO t VALUES (1, '{good}'), (2, '{none,good}')""",
    )
    before = printed(link)
    number = migrate(
        link,
        """UPDATE t SET c = array_remove(c, 'none');
        ALTER TABLE t ALTER c SET DATA TYPE text[], ALTER c DROP DEFAULT;
        DROP TYPE mood;
        CREATE TYPE mood AS ENUM ('good');
        ALTER TABLE t ALTER c SET DATA TYPE mood[] USING c::mood[];
        ALTER TABLE t ALTER c SET DEFAULT '{}'""",
        answers={"back t.c": "c::text::mood[]", "t.c": "'{}'"},
    )
    after = printed(link)
    run(link, "UPDATE t SET c = '{good,good}' WHERE id = 1; INSERT INTO t (id) VALUES (3)")
    undo(link, number)
    assert same(before, printed(link)) == []
    assert values(link) == {"1": "{good,good}", "2": "{none,good}", "3": "{}"}
    redo(link, number)
    assert same(after, printed(link)) == []
    assert values(link) == {"1": "{good,good}", "2": "{good}", "3": "{}"}


@pytest.mark.parametrize("scripts", [1, 2, 3])
def test_an_index_that_was_dropped_is_no_obstacle_to_a_type_that_its_condition_does_not_suit(
    database: Database, scripts: int
) -> None:
    """In one transaction, in two of one migration, in two migrations."""
    link = database.link()
    run(
        link,
        """CREATE TYPE status AS ENUM ('new', 'sent'); CREATE TABLE t (id int PRIMARY KEY, c status);
        INSERT INTO t VALUES (1, 'new'), (2, 'sent'); CREATE INDEX i ON t (id) WHERE c = 'new'""",
    )
    before = printed(link)
    first, second = "DROP INDEX i", "ALTER TABLE t ALTER c TYPE text"
    answers = {"back t.c": "c::status"}
    if scripts < 3:
        texts = [f"{first}; {second}"] if scripts == 1 else [first, second]
        numbers = [migrate(link, *texts, answers=answers)]
    else:
        numbers = [migrate(link, first), migrate(link, second, answers=answers)]
    after = printed(link)
    run(link, "UPDATE t SET c = 'sent' WHERE id = 1; INSERT INTO t (id, c) VALUES (3, 'new')")
    undo(link, *numbers)
    assert same(before, printed(link)) == []
    assert values(link) == {"1": "sent", "2": "sent", "3": "new"}
    for number in numbers:
        redo(link, number)
    assert same(after, printed(link)) == []


@pytest.mark.parametrize("last", ["", ", z int"], ids=["last", "beside a later column"])
@pytest.mark.parametrize(
    "first",
    ["", "ALTER TABLE t ALTER c TYPE varchar(20); ", "ALTER TABLE t ALTER c TYPE varchar(9); "],
    ids=["alone", "wider before", "the same before"],
)
def test_a_type_that_is_changed_in_the_catalog_and_then_anew(
    first: str, last: str, database: Database
) -> None:
    """What keeps others from writing a hidden column by its place hangs on its type."""
    link = database.link()
    run(link, f"CREATE TABLE t (id int PRIMARY KEY, c varchar(9){last}); INSERT INTO t VALUES (1, '1')")
    before = schema_of(database.url)
    number = migrate(link, f"{first}ALTER TABLE t ALTER c TYPE int USING c::int")
    after = schema_of(database.url)
    for _ in range(2):
        undo(link, number)
        assert schema_of(database.url) == before
        redo(link, number)
        assert schema_of(database.url) == after
    assert seen(link, "SELECT id, c FROM t") == "1 1"


@pytest.mark.parametrize(
    ("column", "to"),
    [
        ("varchar(9)", "varchar(9)"),
        ("int", "integer USING c"),
        ("two", "two"),
        ('text COLLATE "C"', 'text COLLATE "C"'),
    ],
)
def test_a_type_that_a_column_has_already_leaves_nothing_to_take_back(
    column: str, to: str, database: Database
) -> None:
    """As tools say it to set something else; of a partitioned table it was refused."""
    link = database.link()
    run(
        link,
        f"CREATE TYPE two AS ENUM ('1', '2'); CREATE TABLE t (id int PRIMARY KEY, c {column} UNIQUE); INSERT INTO t VALUES (1, '1'); "
        f"CREATE TABLE p (id int, c {column}) PARTITION BY RANGE (id)",
    )
    before = schema_of(database.url)
    number = migrate(link, f"ALTER TABLE t ALTER c TYPE {to}; ALTER TABLE p ALTER c TYPE {to}")
    assert schema_of(database.url) == before
    assert journal.entries(link, (number,), "applied") == []


def test_another_collation_is_another_type(database: Database) -> None:
    link = database.link()
    run(link, 'CREATE TABLE t (id int PRIMARY KEY, c text COLLATE "C")')
    before = schema_of(database.url)
    number = migrate(link, "ALTER TABLE t ALTER c TYPE text")
    assert schema_of(database.url) != before
    undo(link, number)
    assert schema_of(database.url) == before


@pytest.mark.parametrize("between", ["enum", "domain", "another name"])
def test_a_type_that_a_column_had_between_two_others_is_dropped_by_its_own_transaction(
    between: str, database: Database
) -> None:
    """Values go through it when the column gets the last one again, and it is in nobody's way meanwhile."""
    link = database.link()
    run(
        link,
        """CREATE TYPE mood AS ENUM ('good', 'none');
        CREATE TABLE t (id int PRIMARY KEY, c mood NOT NULL); CREATE TABLE u (id int PRIMARY KEY, c mood NOT NULL);
        INSERT INTO t VALUES (1, 'good'), (2, 'none'); INSERT INTO u VALUES (1, 'none')""",
    )
    before = printed(link)
    told = {"back t.c": "c::text::old", "back u.c": "c::text::old"} if between == "domain" else {}
    kind = "DOMAIN mood AS text CHECK (VALUE <> '')" if told else "TYPE mood AS ENUM ('good', 'none', 'bad')"
    last, went = "last", "mood"
    if between == "another name":
        last, went = "mood", "staging"
    number = migrate(
        link,
        f"""SELECT now(); ALTER TYPE mood RENAME TO old; CREATE {kind};
        ALTER TABLE t ALTER c TYPE mood USING c::text::mood; ALTER TABLE u ALTER c TYPE mood USING c::text::mood;
        UPDATE t SET c = 'bad' WHERE c = 'none'; UPDATE u SET c = 'bad' WHERE c = 'none';
        {"" if went == "mood" else f"ALTER TYPE mood RENAME TO {went};"} CREATE TYPE {last} AS ENUM ('good', 'bad');
        ALTER TABLE t ALTER c TYPE {last} USING CASE WHEN c = 'none' THEN 'bad' ELSE c::text::{last} END;
        ALTER TABLE u ALTER c TYPE {last} USING CASE WHEN c = 'none' THEN 'bad' ELSE c::text::{last} END;
        DROP TYPE old; DROP {"DOMAIN" if told else "TYPE"} {went};
        {"" if last == "mood" else f"ALTER TYPE {last} RENAME TO mood"}""",
        answers={"t.c": "'none'", "u.c": "'none'"} | told,
    )
    after = printed(link)
    for _ in range(2):
        run(link, "UPDATE t SET c = 'bad' WHERE id = 1; INSERT INTO t (id, c) VALUES (3, 'good')")
        undo(link, number)
        assert same(before, printed(link)) == []
        assert values(link) == {"1": "none", "2": "none", "3": "good"}
        run(link, "UPDATE t SET c = 'good' WHERE id = 1; INSERT INTO t (id, c) VALUES (4, 'none')")
        redo(link, number)
        assert same(after, printed(link)) == []
        assert values(link) == {"1": "good", "2": "bad", "3": "good", "4": "bad"}
        run(link, "DELETE FROM t WHERE id > 2")
    finalize(link, [one for one in journal.migrations(link) if one.id == number], patience_s=5, dry_run=False)
    left = "SELECT count(*) AS n FROM pg_type WHERE typnamespace = 'backout_hidden'::regnamespace"
    assert seen(link, left) == "0"


@pytest.mark.parametrize(
    ("value", "told"), [("older::text::mood", "-- backout: back t.older = c::text::old"), ("'good'", "")]
)
def test_a_column_that_got_another_name_and_type_is_dropped_beside_one_of_its_first_name(
    value: str, told: str, database: Database
) -> None:
    link = database.link()
    run(
        link,
        """CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE t (id int PRIMARY KEY, c mood NOT NULL DEFAULT 'bad');
        CREATE INDEX i ON t (c); INSERT INTO t VALUES (1, 'good'), (2, 'bad')""",
    )
    before = printed(link)
    number = migrate(
        link,
        f"""ALTER TYPE mood RENAME TO old; ALTER TABLE t RENAME c TO older;
        ALTER TABLE t ALTER older TYPE old USING older::text::old; CREATE TYPE mood AS ENUM ('new', 'good', 'bad');
        ALTER TABLE t ADD c mood; CREATE INDEX j ON t (c); UPDATE t SET c = {value};
        ALTER TABLE t ALTER c SET NOT NULL; ALTER TABLE t
{told}
DROP older; DROP TYPE old""",
    )
    after = printed(link)
    made = values(link)
    for _ in range(2):
        undo(link, number)
        assert same(before, printed(link)) == []
        assert values(link) == {"1": "good", "2": "bad"}
        redo(link, number)
        assert same(after, printed(link)) == []
        assert values(link) == made

"""Static DO blocks as drizzle-kit writes them: several in one transaction, for things that are new and that are there already."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.proxy.keeper import Veto

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import catalog_of, schema_of, seen

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


@pytest.mark.parametrize("drop", ["DROP TABLE t", "ALTER TABLE t DROP COLUMN x", "ALTER TABLE t ALTER x TYPE bigint"])  # fmt: skip
def test_what_a_block_destroys_is_refused_with_all_others_of_its_transaction(
    database: Database, drop: str
) -> None:
    link = database.link()
    run(link, BEFORE)
    journal.install(link)
    before = catalog_of(link)
    with pytest.raises(Veto, match="DO"):
        migrate(link, BLOCKS + BLOCK.format(drop, "undefined_column"))
    assert catalog_of(link) == before

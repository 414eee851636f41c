"""Foreign keys to keys that their own migration makes: such a key is built after the COMMIT of the way forward, and they come after it."""

from __future__ import annotations

import re

import pytest

from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.after import finish

from .conftest import Database
from .engine import migrate, redo, run, undo, undo_leaving
from .states import schema_of, seen

pytestmark = pytest.mark.slow

TABLES = (
    "CREATE TABLE p (id int CONSTRAINT old PRIMARY KEY, a int NOT NULL, b int NOT NULL); INSERT INTO p VALUES (1, 1, 1); "
    "CREATE TABLE c (id int PRIMARY KEY, p int CONSTRAINT fk REFERENCES p, a int); INSERT INTO c VALUES (1, 1, 1)"
)
ANEW = "ALTER TABLE c DROP CONSTRAINT fk; ALTER TABLE p DROP CONSTRAINT old; ALTER TABLE p ADD CONSTRAINT"
KEY, INDEX = "ALTER TABLE p ADD CONSTRAINT new UNIQUE (a)", "CREATE UNIQUE INDEX new ON p (a)"
REFERENCE = "ALTER TABLE c ADD CONSTRAINT fk2 FOREIGN KEY (a) REFERENCES p (a)"
BOTH = f"{KEY}; {REFERENCE}"
TABLE = "CREATE TABLE d (id int PRIMARY KEY, pa int REFERENCES p (a)); INSERT INTO d VALUES (1, 1)"
UPS = {
    "a key under another name": [f"{ANEW} new PRIMARY KEY (id); ALTER TABLE c ADD CONSTRAINT fk2 FOREIGN KEY (p) REFERENCES p"],
    "a key under the same name": [f"{ANEW} old PRIMARY KEY (id); ALTER TABLE c ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES p"],
    "a primary key that was none": [
        f"{ANEW} new PRIMARY KEY (id, a); ALTER TABLE c ADD CONSTRAINT fk2 FOREIGN KEY (a, p) REFERENCES p (a, id)"
    ],
    "a new key": [f"{BOTH}; COMMENT ON CONSTRAINT fk2 ON c IS 'x'"],
    "a unique index": [f"{INDEX}; {REFERENCE}"],
    "a key by a new column": [f"{KEY}; ALTER TABLE c ADD pa int REFERENCES p (a)"],
    "a key by a new table": [f"{KEY}; {TABLE}"],
    "a unique index by a new table": [f"{INDEX}; {TABLE}"],
    "a key by its own table": [f"{KEY}; ALTER TABLE p ADD CONSTRAINT fk2 FOREIGN KEY (b) REFERENCES p (a)"],
    "a key of an earlier transaction": [KEY, REFERENCE],
    "a key, and all of it gets other names": [
        BOTH,
        "ALTER TABLE c RENAME a TO z; ALTER TABLE p RENAME a TO z",
        "ALTER TABLE p RENAME TO q",
    ],
    "a key, and its column goes": [BOTH, "ALTER TABLE c DROP a"],
    "a key, and its table goes": [BOTH, "DROP TABLE c"],
    "a key, and that one's table goes": [BOTH, "DROP TABLE p CASCADE"],
    "a key, and its column gets another type": [BOTH, "ALTER TABLE c ALTER a TYPE bigint"],
    "a key by a new table, which goes": [f"{KEY}; {TABLE}", "DROP TABLE d"],
}  # fmt: skip


@pytest.mark.parametrize("name", UPS)
def test_a_foreign_key_to(name: str, database: Database) -> None:
    link = database.link()
    run(link, TABLES)
    before = schema_of(database.url)
    number = migrate(link, *UPS[name])
    after = schema_of(database.url)
    for _ in range(2):
        undo(link, number)
        assert schema_of(database.url) == before
        redo(link, number)
        assert schema_of(database.url) == after


@pytest.mark.parametrize(
    "reference",
    [REFERENCE, "ALTER TABLE c ADD pa int REFERENCES p (a)", TABLE],
    ids=["old", "column", "table"],
)
def test_what_keeps_the_key_from_being_built_keeps_the_foreign_key_owed(
    reference: str, database: Database
) -> None:
    link = database.link()
    run(link, TABLES)
    before = schema_of(database.url)
    number = migrate(link, f"{KEY}; {reference}")
    after = schema_of(database.url)
    for _ in range(2):
        undo(link, number)
        run(link, "INSERT INTO p VALUES (2, 1, 1)")
        (chosen,) = journal.migrations(link)
        back.redo(link, [chosen], patience_s=5)
        owed = " ".join(one.statement for one in finish(link).unfinished)
        assert re.search("CREATE UNIQUE INDEX .* USING INDEX .* FOREIGN KEY", owed)
        undo(link, number)
        assert schema_of(database.url) == before
        back.redo(link, [chosen], patience_s=5)
        run(link, "DELETE FROM p WHERE id = 2")
        assert finish(link).unfinished == ()
        assert schema_of(database.url) == after


def test_a_row_that_refers_to_nothing_meanwhile_is_told_and_kept(database: Database) -> None:
    link = database.link()
    run(link, TABLES)
    number = migrate(link, BOTH)
    undo(link, number)
    run(link, "INSERT INTO c VALUES (2, 1, 7)")
    (chosen,) = journal.migrations(link)
    back.redo(link, [chosen], patience_s=5)
    (failed,) = finish(link).unfinished
    assert failed.statement == 'ALTER TABLE "public"."c" VALIDATE CONSTRAINT "fk2"'
    assert undo_leaving(link, number) == ()
    assert seen(link, "SELECT id, a FROM c ORDER BY id") == "1 1 | 2 7"


def test_a_dropped_key_is_not_tried_by_a_dry_run_nor_what_leads_to_it(database: Database) -> None:
    """Its index is built before the way back: without it no foreign key could come back."""
    link = database.link()
    run(link, TABLES)
    migrate(link, "ALTER TABLE c DROP CONSTRAINT fk; ALTER TABLE p DROP CONSTRAINT old")
    (chosen,) = journal.migrations(link)
    tried = back.undo(link, [chosen], patience_s=5, dry_run=True)
    assert tried.residues == [
        "public.p.old was not tried: its index is built before the way back, which takes a while"
    ]

"""When a migration is taken back beside the code: the release that has to bear it does, with its own statements."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.of_releases import place_of
from backout.migration_way import Place

from .conftest import Database
from .engine import migrate, run, undo
from .kinds import KINDS, Kind, T

pytestmark = pytest.mark.slow

PLACES = {
    "ALTER TABLE t ADD COLUMN b int": Place.AFTER,
    "ALTER TABLE t ADD COLUMN b int NOT NULL DEFAULT 1": Place.AFTER,
    "CREATE TABLE n (id int)": Place.AFTER,
    "CREATE INDEX ON t (a)": Place.AFTER,
    "COMMENT ON TABLE t IS 'x'": Place.AFTER,
    "ALTER TABLE t DROP COLUMN a": Place.BEFORE,
    "DROP TABLE t": Place.BEFORE,
    "ALTER TABLE t ALTER a SET NOT NULL": Place.BEFORE,
    "ALTER TABLE t ADD CHECK (a <> '')": Place.BEFORE,
    "ALTER TABLE t ADD UNIQUE (a)": Place.BETWEEN,
    "ALTER TABLE t RENAME a TO b": Place.BETWEEN,
    "ALTER TABLE t ALTER id TYPE bigint": Place.BETWEEN,
    "UPDATE t SET a = 'x'": Place.BETWEEN,
    "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN b int": Place.BETWEEN,
    "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('1')": Place.AFTER,
}


def placed(database: Database, number: int) -> Place:
    return place_of(journal.entries(database.link(), (number,), "applied"))


@pytest.mark.parametrize("statement", PLACES)
def test_the_place_of_a_migration(database: Database, statement: str) -> None:
    run(database.link(), T)
    assert placed(database, migrate(database.link(), statement)) is PLACES[statement]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_release_that_has_to_bear_it_can_work(database: Database, kind: Kind) -> None:
    link = database.link()
    run(link, kind.before)
    number = migrate(link, kind.up)
    place = placed(database, number)
    if place is Place.AFTER:
        run(link, kind.old)
    elif place is Place.BEFORE:
        undo(link, number)
        run(link, kind.new)

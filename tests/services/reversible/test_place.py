"""When a migration is taken back beside the code: the release that has to bear it does, with its own statements."""

from __future__ import annotations

import pytest

from backout.app.migrations import Migrations
from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.of_releases import ReleaseMigrations, place_of
from backout.migration_way import Part, Place
from backout.redact import Redactor

from .conftest import Database
from .engine import migrate, run, undo
from .kinds import KINDS, T
from .servers import by_turns, share
from .states import schema_of

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
    "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN b int": Place.AROUND,
    "DROP TABLE t; CREATE TABLE n (id int)": Place.AROUND,
    "DROP TABLE t; CREATE TABLE t (id int)": Place.BETWEEN,
    "ALTER TABLE t ADD COLUMN b int; ALTER TABLE t RENAME a TO c": Place.BETWEEN,
    "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('1')": Place.AFTER,
}


def placed(database: Database, number: int) -> Place:
    return place_of(journal.entries(database.link(), (number,), "applied"))


@pytest.mark.parametrize("statement", PLACES)
def test_the_place_of_a_migration(database: Database, statement: str) -> None:
    run(database.link(), T)
    assert placed(database, migrate(database.link(), statement)) is PLACES[statement]


_KINDS = {kind.name: kind for kind in KINDS}


@pytest.mark.parametrize(("server", "name"), by_turns(share(_KINDS, 2, 3)), indirect=["server"])
def test_the_release_that_has_to_bear_it_can_work(database: Database, name: str) -> None:
    kind = _KINDS[name]
    link = database.link()
    run(link, kind.before)
    number = migrate(link, kind.up)
    place = placed(database, number)
    if place is Place.AFTER:
        run(link, kind.old)
    elif place is Place.BEFORE:
        undo(link, number)
        run(link, kind.new)
    elif place is Place.AROUND:
        ReleaseMigrations(database.url, {}, Redactor()).take_back((number,), Part.NEEDED)
        run(link, kind.new)


def test_halfway_both_releases_work_and_either_end_can_be_reached(database: Database) -> None:
    link, ids = database.link(), (1,)
    journalled = ReleaseMigrations(database.url, {}, Redactor())
    run(link, T + "CREATE TABLE gone (id int)")
    migrate(
        link,
        "ALTER TABLE t DROP COLUMN a; DROP TABLE gone; ALTER TABLE t ADD COLUMN b int; CREATE TABLE made (id int)",
    )
    before = schema_of(database.url)

    journalled.take_back(ids, Part.NEEDED)
    assert [one.state for one in journalled.records()] == ["applied"]
    for release in (
        "INSERT INTO t (id, a) VALUES (10, 'old'); INSERT INTO gone VALUES (1)",
        "INSERT INTO t (id, b) VALUES (11, 7); INSERT INTO made VALUES (1)",
    ):
        run(link, release)
    assert journalled.take_back(ids, Part.NEEDED) is None

    journalled.make_again(ids, Part.NEEDED)
    assert schema_of(database.url) == before

    journalled.take_back(ids, Part.NEEDED)
    journalled.take_back(ids, Part.BORNE)
    assert [one.state for one in journalled.records()] == ["undone"]
    assert rows(database, "SELECT id, a FROM t WHERE id > 9 ORDER BY id") == [("10", "old"), ("11", None)]

    journalled.make_again(ids, Part.BORNE)
    journalled.make_again(ids, Part.NEEDED)
    assert [one.state for one in journalled.records()] == ["applied"]
    assert schema_of(database.url) == before
    assert rows(database, "SELECT id, b FROM t WHERE id > 9 ORDER BY id") == [("10", None), ("11", "7")]


def test_halfway_a_rollback_by_hand_takes_the_rest(database: Database) -> None:
    link = database.link()
    run(link, T)
    before = schema_of(database.url)
    migrate(link, "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN b int")
    ReleaseMigrations(database.url, {}, Redactor()).take_back((1,), Part.NEEDED)
    Migrations(database.url).rollback()
    assert schema_of(database.url) == before
    Migrations(database.url).redo()
    assert [one.state for one in Migrations(database.url).history().migrations] == ["applied"]


def rows(database: Database, query: str) -> list[tuple[str | None, ...]]:
    return [tuple(one.values()) for one in database.link().rows(query)]

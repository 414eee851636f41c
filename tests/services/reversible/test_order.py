"""The order of migrations: back the newest first, forward the oldest first, and nothing in between."""

from __future__ import annotations

import pytest

from backout.app.migrations import Migrations
from backout.databases.postgres.reversible.link import LinkError
from backout.errors import Refused, UsageError

from .conftest import Database
from .engine import migrate, run

pytestmark = pytest.mark.slow


def columns(database: Database) -> list[str]:
    return [
        name for name in database.link().rows("SELECT * FROM t")[0] if name and not name.startswith("_bo_")
    ]


def test_several_go_back_together_and_forward_together(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x')")
    migrate(link, "ALTER TABLE t ADD COLUMN b int", release="1.1.0")
    migrate(link, "ALTER TABLE t ADD CONSTRAINT t_a_key UNIQUE (a)", release="1.2.0")
    migrate(link, "ALTER TABLE t RENAME CONSTRAINT t_a_key TO t_unique", release="1.3.0")
    migrations = Migrations(database.url)
    assert migrations.rollback(to="1.1.0").migrations == (3, 2)
    assert migrations.rollback().migrations == (1,)
    assert columns(database) == ["id", "a"]
    assert migrations.redo(steps=3).migrations == (1, 2, 3)
    assert columns(database) == ["id", "a", "b"]
    named = link.rows("SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'u'")
    assert named == [{"conname": "t_unique"}]


def test_one_that_was_taken_back_is_not_made_again_after_a_later_one(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    migrate(link, "ALTER TABLE t ADD COLUMN b int")
    migrations = Migrations(database.url)
    migrations.rollback()
    migrate(link, "ALTER TABLE t ADD COLUMN c int")
    with pytest.raises(Refused, match="came after it"):
        migrations.redo()
    assert columns(database) == ["id", "c"]
    migrations.rollback()
    migrations.redo(steps=2)
    assert columns(database) == ["id", "b", "c"]


def test_where_nothing_was_migrated_there_is_nothing_to_take_back(database: Database) -> None:
    migrations = Migrations(database.url)
    assert migrations.history().migrations == ()
    with pytest.raises(UsageError):
        migrations.rollback()
    with pytest.raises(UsageError):
        migrations.redo()


def test_a_foreign_key_that_was_dropped_and_made_again_is_known_to_the_migration_that_made_it(
    database: Database,
) -> None:
    link = database.link()
    run(
        link,
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, p int); INSERT INTO t VALUES (1, NULL)",
    )
    migrate(link, "ALTER TABLE t ADD CONSTRAINT t_p FOREIGN KEY (p) REFERENCES p")
    migrate(link, "COMMENT ON CONSTRAINT t_p ON t IS 'why'")
    migrate(link, "ALTER TABLE t DROP CONSTRAINT t_p")
    migrations = Migrations(database.url)
    for _ in range(2):
        migrations.rollback(steps=3)
        assert (
            link.rows("SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'f'")
            == []
        )
        migrations.redo(steps=2)
        found = link.rows("SELECT obj_description(oid) AS said FROM pg_constraint WHERE conname = 't_p'")
        assert found == [{"said": "why"}]
        migrations.redo()


def test_a_null_that_stands_in_the_way_does_not_take_the_strictness_away(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x')")
    migrate(link, "ALTER TABLE t ALTER COLUMN a SET NOT NULL")
    migrations = Migrations(database.url)
    migrations.rollback()
    run(link, "INSERT INTO t VALUES (2, NULL)")
    for done in (migrations.redo().unfinished, migrations.finish().unfinished):
        assert ["VALIDATE" in one.statement for one in done] == [True, False]
        assert all("null" in one.why or "violated" in one.why for one in done)
        with pytest.raises(LinkError):
            run(link, "INSERT INTO t VALUES (3, NULL)")
    run(link, "UPDATE t SET a = '' WHERE a IS NULL")
    assert migrations.finish().unfinished == ()
    found = link.rows("SELECT attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'a'")
    assert found == [{"attnotnull": "t"}]
    assert (
        link.rows("SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'c'") == []
    )

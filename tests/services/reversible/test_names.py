"""Names that have to be quoted, paths that hide the system's own, and statements within savepoints."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.names import ident

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import changed, schema_of, seen

pytestmark = pytest.mark.slow

NAMES = (
    't', 'tgt', 'select', 'User', 'two words', "it's", 'say "so"', 'back\\slash', 'größe_名前', 'x' * 63, 'ü' * 31, '%s', '{}', '$1', 'old', 'new',
    '-- x', 'a.b', 'NULL', 'oid', 'ctid2',
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_thing_may_have_any_name(name: str, database: Database) -> None:
    link = database.link()
    n, s = ident(name), ident(f"s{name}"[:30])
    before = (
        f"CREATE SCHEMA {s}; CREATE TABLE {s}.p (id int PRIMARY KEY); CREATE TABLE {s}.{n} ({n} serial PRIMARY KEY, b text NOT NULL DEFAULT 'b' "
        f"CONSTRAINT {n} CHECK (b <> ''), c int CONSTRAINT {ident('f' + name[:60])} REFERENCES {s}.p, d text); "
        f"CREATE INDEX {ident('i' + name[:60])} ON {s}.{n} (b, d); COMMENT ON COLUMN {s}.{n}.b IS 'b'; "
        f"INSERT INTO {s}.p VALUES (1); INSERT INTO {s}.{n} (b, c, d) VALUES ('b1', 1, 'd1')"
    )
    up = (
        f"ALTER TABLE {s}.{n} DROP COLUMN b; ALTER TABLE {s}.{n} DROP COLUMN c; ALTER TABLE {s}.{n} RENAME COLUMN d TO {ident('d' + name[:30])}; "
        f"CREATE TYPE {s}.{ident('e' + name[:50])} AS ENUM ({_text(name)}, 'y'); ALTER TABLE {s}.{n} ADD b {s}.{ident('e' + name[:50])} DEFAULT {_text(name)};"
        f"CREATE UNIQUE INDEX {ident('u' + name[:60])} ON {s}.{n} (({ident('d' + name[:30])} || ''), b); DROP TABLE {s}.p; ALTER TABLE {s}.{n} RENAME TO {ident('r' + name[:60])};"
        f"CREATE TABLE {s}.{n} ({n} int CONSTRAINT {ident('k' + name[:60])} UNIQUE); COMMENT ON TABLE {s}.{n} IS {_text(name)}"
    )
    run(link, before)
    was = schema_of(database.url)
    number = migrate(link, up)
    after = schema_of(database.url)
    run(link, f"INSERT INTO {s}.{ident('r' + name[:60])} ({ident('d' + name[:30])}) VALUES ('d2')")

    undo(link, number)
    assert schema_of(database.url) == was
    assert seen(link, f"SELECT b, c, d FROM {s}.{n} ORDER BY d") == "b1 1 d1 | b - d2"
    redo(link, number)
    assert schema_of(database.url) == after
    undo(link, number)
    assert schema_of(database.url) == was


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def test_a_search_path_that_hides_the_systems_own(database: Database) -> None:
    link = database.link()
    run(link, "CREATE SCHEMA evil; CREATE TABLE evil.pg_class (oid int); CREATE TABLE evil.pg_namespace (oid int); CREATE TABLE evil.pg_attribute (x int);"
        "CREATE TABLE evil.pg_constraint (x int); CREATE TABLE evil.pg_stat_xact_user_tables (x int); CREATE TABLE evil.pg_type (x int);"
        "CREATE FUNCTION evil.format_type(oid, int) RETURNS text LANGUAGE sql AS $$SELECT 'evil'::text$$;"
        "CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS $$SELECT 'evil'::text$$;"
        "CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$SELECT 'evil'::text$$;"
        "CREATE FUNCTION evil.json_agg(text) RETURNS text LANGUAGE sql AS $$SELECT 'evil'::text$$;"
        "CREATE TABLE evil.t (id int, a text NOT NULL DEFAULT 'd'); INSERT INTO evil.t VALUES (1, 'a1'); CREATE TABLE t (other int)")  # fmt: skip
    before = schema_of(database.url)
    journal.install(link)
    link.rows("SET search_path = evil, pg_catalog, public")
    number = migrate(
        link, "ALTER TABLE t DROP COLUMN a; CREATE TABLE n (x int); ALTER TABLE t ADD b int CHECK (b > 0)"
    )
    run(link, "INSERT INTO t (id) VALUES (2)")
    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, "SELECT id, a FROM evil.t ORDER BY id") == "1 a1 | 2 d"


def test_a_migration_that_sets_its_path_keeps_it(database: Database) -> None:
    link = database.link()
    run(link, "CREATE SCHEMA app; CREATE TABLE app.t (id int, a int)")
    before = schema_of(database.url)
    number = migrate(
        link,
        "SET LOCAL search_path = app; ALTER TABLE t DROP a; ALTER TABLE t ADD b int; CREATE TABLE n (x int); DROP INDEX IF EXISTS i",
    )
    assert seen(link, "SELECT to_regclass('app.n') IS NOT NULL AS n") == "t"
    undo(link, number)
    assert schema_of(database.url) == before


def test_savepoints_take_the_journal_with_them(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int, a int, b int, c int); INSERT INTO t VALUES (1, 2, 3, 4)")
    before = schema_of(database.url)
    number = migrate(
        link,
        "SAVEPOINT one; ALTER TABLE t DROP a; SAVEPOINT backout; ALTER TABLE t DROP b; ROLLBACK TO SAVEPOINT backout; ALTER TABLE t DROP c; "
        "RELEASE SAVEPOINT one",
    )
    assert seen(link, "SELECT id, b FROM t") == "1 3"
    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, "SELECT id, a, b, c FROM t") == "1 2 3 4"


@pytest.mark.parametrize(
    "up",
    [
        "DROP TABLE IF EXISTS nothing", "DROP INDEX IF EXISTS nothing", "DROP TYPE IF EXISTS nothing", "ALTER TABLE IF EXISTS nothing DROP COLUMN a",
        "ALTER TABLE t DROP COLUMN IF EXISTS nothing", "CREATE TABLE IF NOT EXISTS t (x int)", "ALTER TABLE t ADD COLUMN IF NOT EXISTS a text",
        "CREATE INDEX IF NOT EXISTS i ON t (id)", "DROP TABLE IF EXISTS nothing CASCADE", "ALTER TABLE t ALTER a DROP NOT NULL",
        "ALTER TABLE t ALTER id SET NOT NULL; ALTER TABLE t ALTER id DROP NOT NULL", "CREATE TABLE n (x int); DROP TABLE n",
        "ALTER TABLE t ADD n int; ALTER TABLE t DROP n", "CREATE TYPE e AS ENUM ('x'); DROP TYPE e", "CREATE INDEX n ON t (a); DROP INDEX n",
        "CREATE TEMPORARY TABLE tmp (x int) ON COMMIT DROP; INSERT INTO tmp VALUES (1)",
    ],
)  # fmt: skip
def test_what_does_nothing_leaves_nothing(up: str, database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int, a int); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1, 2)")
    before = schema_of(database.url)
    number = migrate(link, up)
    assert journal.entries(link, (number,), "applied", "pending") == []
    assert schema_of(database.url) == before


@pytest.mark.parametrize(
    "up",
    [
        "ALTER TABLE ONLY t DROP COLUMN a, ALTER COLUMN b SET DEFAULT 9, ADD COLUMN a text DEFAULT 'x', ADD CONSTRAINT ck CHECK (b > 0)",
        "ALTER TABLE t ADD COLUMN c int, DROP COLUMN IF EXISTS a, DROP COLUMN IF EXISTS nothing, ALTER COLUMN b DROP NOT NULL",
        "ALTER TABLE t DROP COLUMN a, ADD PRIMARY KEY (id), ADD UNIQUE (b)",
        "ALTER TABLE t DROP COLUMN a; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME TO u; CREATE TABLE t (x int)",
        "ALTER TABLE t RENAME b TO bb; ALTER TABLE t DROP COLUMN a; ALTER TABLE t RENAME bb TO a",
        "ALTER TYPE mood RENAME TO humour; ALTER TABLE t ALTER m SET DEFAULT 'bad'; ALTER TABLE t RENAME m TO mm",
    ],
)  # fmt: skip
def test_several_commands_at_once(up: str, database: Database, second: Database) -> None:
    link = database.link()
    before = (
        "CREATE TYPE mood AS ENUM ('ok', 'bad'); CREATE TABLE t (id int, a text DEFAULT 'd', b int NOT NULL DEFAULT 1, m mood DEFAULT 'ok', "
        "CHECK (b > 0 OR a IS NULL)); INSERT INTO t VALUES (1, 'a1', 2)"
    )
    run(link, before)
    run(second.link(), before + ";" + up)
    was, after = schema_of(database.url), schema_of(second.url)

    number = migrate(link, up)
    for _ in range(3):
        assert schema_of(database.url) == after
        undo(link, number)
        assert schema_of(database.url) == was
        assert seen(link, "SELECT id, a, b, m FROM t") == "1 a1 2 ok"
        redo(link, number)


def test_many_migrations_together_and_again_and_again(database: Database) -> None:
    link = database.link()
    run(
        link,
        "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL DEFAULT 'd', b int); INSERT INTO t VALUES (1, 'a1', 1)",
    )
    states = [schema_of(database.url)]
    numbers = []
    for up in (
        "ALTER TABLE t RENAME a TO aa; CREATE UNIQUE INDEX u ON t (aa, id)",
        "ALTER TABLE t ADD CONSTRAINT uq UNIQUE (b); ALTER TABLE t RENAME b TO bb",
        "ALTER TABLE t RENAME TO tt; ALTER TABLE tt RENAME aa TO a; ALTER TABLE tt ADD CONSTRAINT ck CHECK (a <> '')",
        "ALTER TABLE tt RENAME a TO z; ALTER TABLE tt DROP COLUMN bb; CREATE TABLE t (id int REFERENCES tt)",
    ):
        numbers.append(migrate(link, up))
        states.append(schema_of(database.url))
    for count in (4, 1, 3, 2, 4, 4):
        undo(link, *numbers[-count:])
        assert changed(schema_of(database.url), states[-1 - count]) == []
        for number in numbers[-count:]:  # each to its end: a key is built after the COMMIT
            redo(link, number)
        assert changed(schema_of(database.url), states[-1]) == []
    undo(link, *numbers)
    assert seen(link, "SELECT id, a, b FROM t") == "1 a1 1"


def test_a_unique_index_that_cannot_be_built_again_does_not_close_the_way_back(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int, a int); INSERT INTO t VALUES (1, 1)")
    before = schema_of(database.url)
    number = migrate(link, "CREATE UNIQUE INDEX u ON t (a); ALTER TABLE t ADD CONSTRAINT uq UNIQUE (id)")
    undo(link, number)
    run(link, "INSERT INTO t VALUES (1, 1)")
    with pytest.raises(AssertionError):
        redo(link, number)
    undo(link, number)
    assert schema_of(database.url) == before


def test_a_rebuilt_index_is_found_by_its_name(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int, a int); CREATE INDEX gone ON t (id); INSERT INTO t VALUES (1, 1)")
    before = schema_of(database.url)
    number = migrate(
        link,
        "CREATE INDEX made ON t (a); CREATE UNIQUE INDEX one ON t (a); DROP INDEX gone; ALTER TABLE t ADD CONSTRAINT uq UNIQUE (id)",
    )
    run(link, "REINDEX TABLE CONCURRENTLY t")
    undo(link, number)
    assert schema_of(database.url) == before

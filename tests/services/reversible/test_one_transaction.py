"""Several statements about one thing in one transaction, as real migrations have them: it comes back as it was before all of them."""

from __future__ import annotations

import pytest

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import schema_of, seen

pytestmark = pytest.mark.slow

T = (
    "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL DEFAULT 0, b int, c text); CREATE INDEX ia ON t (a);"
    "CREATE INDEX i ON t (a, id, b) WHERE b < 3; INSERT INTO t VALUES (1, 1, 1, 'c1'), (2, 2, 2, 'c2');"
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
)
_TR = "CREATE TRIGGER tr AFTER UPDATE OF a ON t FOR EACH ROW WHEN (NEW.b > 1) EXECUTE FUNCTION f()"
TWO = "ALTER TABLE t ALTER a TYPE smallint, ALTER b TYPE smallint;"
MIGRATIONS = {
    "a unique index renamed, then dropped": (
        "CREATE UNIQUE INDEX u ON t (c)",
        "ALTER INDEX u RENAME TO v; DROP INDEX v",
    ),
    "types changed, then an index over both dropped": ("", f"{TWO} DROP INDEX i"),
    "types changed, then the table dropped": ("", f"{TWO} DROP TABLE t"),
    "types changed, then the table renamed, made anew and dropped": (
        "",
        f"{TWO} ALTER TABLE t RENAME TO t_old; CREATE TABLE t (id int PRIMARY KEY); DROP TABLE t_old",
    ),
    "a table renamed, made anew and dropped": (
        "",
        "ALTER TABLE t RENAME TO t_old; CREATE TABLE t (id int PRIMARY KEY); DROP TABLE t_old",
    ),
    "a table moved with its parts renamed, then dropped with its schema": (
        "",
        "CREATE SCHEMA s; ALTER TABLE t SET SCHEMA s; ALTER INDEX s.i RENAME TO j; ALTER TABLE s.t ADD z int; DROP TABLE s.t; DROP SCHEMA s",
    ),
    "a trigger dropped, then the types below it changed": (
        _TR,
        "DROP TRIGGER tr ON t; ALTER TABLE t ALTER a TYPE bigint, ALTER b TYPE bigint",
    ),
    "a trigger dropped, then the type below it written anew": (
        _TR,
        "DROP TRIGGER tr ON t; ALTER TABLE t ALTER b TYPE int USING (b); DROP FUNCTION f()",
    ),
    "a trigger made anew over another type": (
        _TR,
        f"DROP TRIGGER tr ON t; ALTER TABLE t ALTER b TYPE bigint; {_TR}",
    ),
    "a function dropped that a trigger of a dropped table has": (_TR, "DROP TABLE t; DROP FUNCTION f()"),
}


@pytest.mark.parametrize("name", MIGRATIONS)
def test_it_comes_back_as_it_was_before_all_of_them(name: str, database: Database) -> None:
    link, (first, up) = database.link(), MIGRATIONS[name]
    run(link, T + first)
    before = schema_of(database.url)
    number = migrate(link, up)
    after = schema_of(database.url)
    for _ in range(2):
        undo(link, number)
        assert schema_of(database.url) == before
        assert seen(link, "SELECT id, a, b, c FROM t ORDER BY id") == "1 1 1 c1 | 2 2 2 c2"
        redo(link, number)
        assert schema_of(database.url) == after

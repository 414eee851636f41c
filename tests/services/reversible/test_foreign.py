"""Foreign tables go back and forth; their rows are on another server, and nothing is asked of that."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest
from tests.command_line import Done

from backout.embedded.server import EmbeddedPostgres

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import schema_of

pytestmark = pytest.mark.slow

_TWO = "CREATE FOREIGN TABLE f (x int CHECK (x > 0), y text) SERVER there; GRANT SELECT ON f TO other; COMMENT ON FOREIGN TABLE f IS 'f'"
CASES = {
    "made": ("", _TWO),
    "dropped": (_TWO, "DROP FOREIGN TABLE f"),
    "replaced": (_TWO, "DROP FOREIGN TABLE f; CREATE FOREIGN TABLE f (x bigint) SERVER there"),
    "made_and_dropped": ("", f"{_TWO}; DROP FOREIGN TABLE IF EXISTS f CASCADE; CREATE TABLE f (x int)"),
    "shown_by_a_view": (f"{_TWO}; CREATE VIEW v AS SELECT x FROM f", "DROP FOREIGN TABLE f CASCADE"),
    "in_a_block": (_TWO, "DO $$BEGIN DROP FOREIGN TABLE f; END$$"),
    "with_its_schema": (f"CREATE SCHEMA app; {_TWO.replace(' f ', ' app.f ')}", "DROP SCHEMA app CASCADE"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_foreign_table_goes_back_and_forth_and_away(
    name: str, database: Database, postgres: EmbeddedPostgres, typed: Callable[..., Done]
) -> None:
    place = database.url.rsplit("/", 1)[1]
    with closing(psycopg.connect(postgres.superuser_url, dbname=place, autocommit=True)) as admin:
        admin.execute("CREATE FOREIGN DATA WRAPPER w; GRANT ALL ON FOREIGN DATA WRAPPER w TO collector")
    link, (before, up) = database.link(), CASES[name]
    run(link, f"CREATE SERVER there FOREIGN DATA WRAPPER w; {before}")
    old = schema_of(database.url)
    number = migrate(link, up)
    new = schema_of(database.url)
    for _again in range(2):
        undo(link, number)
        assert schema_of(database.url) == old
        redo(link, number)
        assert schema_of(database.url) == new
    typed("db", "finalize", "--now", "--yes").ended(0)
    assert link.rows("SELECT FROM pg_class WHERE relname ~ '^_bo_'") == []
    assert schema_of(database.url) == new

"""Views as migrations write them: dropped before a change of their tables, made again after it, and what hangs on them."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.after import finish
from backout.databases.postgres.reversible.catalog import read_alone
from backout.databases.postgres.reversible.due import due
from backout.databases.postgres.reversible.finalize import finalize
from backout.databases.postgres.reversible.link import DirectLink, LinkError
from backout.databases.postgres.reversible.outlook import obstacles, obstacles_again
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.databases.postgres.reversible.uninstall import uninstall

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import schema_of, seen

pytestmark = pytest.mark.slow

_T = "CREATE TABLE t (id int PRIMARY KEY, a text, z int); INSERT INTO t VALUES (1, 'a1', 7)"
_V = "CREATE VIEW v AS SELECT id, a, z FROM t"


def refused(database: Database, number: int, words: str) -> None:
    """It is not taken back, and all is as it was."""
    link, before = database.link(), schema_of(database.url)
    with pytest.raises(back.NotReversible, match=words):
        undo(link, number)
    assert schema_of(database.url) == before


def test_over_several_transactions(database: Database) -> None:
    """As Diesel and Alembic run them: each of these is committed by itself."""
    link = database.link()
    run(
        link,
        f"{_T}; {_V}; CREATE VIEW w AS SELECT a, z FROM v; GRANT SELECT ON w TO other; COMMENT ON VIEW w IS 'w'",
    )
    before = schema_of(database.url)
    number = migrate(
        link,
        "DROP VIEW w; DROP VIEW v",
        "ALTER TABLE t ALTER z TYPE bigint, ADD more text DEFAULT 'm'",
        "ALTER TABLE t DROP COLUMN a; ALTER TABLE t RENAME TO u",
        "CREATE VIEW v AS SELECT id, z, more FROM u",
        "CREATE VIEW w AS SELECT z, more FROM v",
    )
    after = schema_of(database.url)
    assert seen(link, "SELECT * FROM w") == "7 m"
    run(link, "INSERT INTO v VALUES (2, 8, 'n')")
    for _ in range(2):
        undo(link, number)
        assert schema_of(database.url) == before
        assert seen(link, "SELECT * FROM w ORDER BY z") == "a1 7 | - 8"
        redo(link, number)
        assert schema_of(database.url) == after
        assert seen(link, "SELECT * FROM w ORDER BY z") == "7 m | 8 n"


def test_by_several_migrations(database: Database) -> None:
    """What was made again has another oid than the earlier migration knew."""
    link = database.link()
    run(link, _T)
    states = [schema_of(database.url)]
    numbers = []
    for script in (
        _V,
        "ALTER VIEW v RENAME TO x; COMMENT ON VIEW x IS 'x'",
        "CREATE OR REPLACE VIEW x AS SELECT id, a, z, z + 1 AS next FROM t",
        "DROP VIEW x; ALTER TABLE t DROP COLUMN a; CREATE VIEW x AS SELECT id FROM t",
        "DROP VIEW x",
    ):
        numbers.append(migrate(link, script))
        states.append(schema_of(database.url))
    for _ in range(2):
        for number, state in reversed(list(zip(numbers, states[:-1], strict=True))):
            undo(link, number)
            assert schema_of(database.url) == state
        for number, state in zip(numbers, states[1:], strict=True):
            redo(link, number)
            assert schema_of(database.url) == state


def test_what_was_granted_since_is_there_when_it_is_made_again(database: Database) -> None:
    link = database.link()
    run(link, _T)
    number = migrate(link, _V)
    run(link, "GRANT SELECT ON v TO other; COMMENT ON VIEW v IS 'since'")
    after = schema_of(database.url)
    undo(link, number)
    redo(link, number)
    assert schema_of(database.url) == after


def test_default_privileges_are_not_given_to_what_comes_back(database: Database) -> None:
    link = database.link()
    run(link, f"{_T}; {_V}; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO other")
    before = schema_of(database.url)
    number = migrate(link, "DROP VIEW v")
    undo(link, number)
    assert schema_of(database.url) == before


def test_a_view_upon_one_that_is_changed_is_made_again_with_it(database: Database) -> None:
    link = database.link()
    run(
        link, f"{_T}; {_V}; CREATE VIEW w AS SELECT count(*) AS n FROM v; CREATE VIEW x AS SELECT n FROM w, t"
    )
    before = schema_of(database.url)
    number = migrate(
        link, "CREATE OR REPLACE VIEW v AS SELECT id, a, z, 1 AS one FROM t; ALTER TABLE t RENAME z TO y"
    )
    undo(link, number)
    assert schema_of(database.url) == before and seen(link, "SELECT * FROM x") == "1"


def test_a_view_that_somebody_made_upon_a_new_one_is_left(database: Database) -> None:
    link = database.link()
    run(link, _T)
    number = migrate(link, _V)
    run(link, "CREATE VIEW mine AS SELECT id FROM v")
    refused(database, number, "cannot drop view v because other objects depend on it")
    run(link, "DROP VIEW mine; DROP VIEW v")
    refused(database, number, "the view public.v is not there")


def test_a_name_that_was_taken_since_is_left(database: Database) -> None:
    link = database.link()
    run(link, f"{_T}; {_V}")
    number = migrate(link, "DROP VIEW v")
    run(link, "CREATE TABLE v (mine int)")
    refused(database, number, 'relation "v" already exists')


def test_a_list_of_words_is_the_same_one_when_it_comes_back(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (a varchar); CREATE VIEW v AS SELECT a FROM t WHERE a IN ('x', 'y')")
    before = schema_of(database.url)
    assert undo(link, migrate(link, "DROP VIEW v")).residues == []
    assert schema_of(database.url) == before


def test_a_query_that_postgresql_prints_in_other_words_is_told(database: Database) -> None:
    link = database.link()
    run(
        link,
        "CREATE TABLE t (a varchar, b varchar); CREATE VIEW v AS SELECT a FROM t WHERE a = ANY (ARRAY['x', b])",
    )
    number = migrate(link, "DROP VIEW v")
    told = undo(link, number).residues
    assert told == ["the view public.v has its query in other words: PostgreSQL prints it so from now on"]


def test_a_view_cannot_be_dropped_under_a_function_that_is_only_hidden(database: Database) -> None:
    link = database.link()
    run(link, f"{_T}; {_V}; CREATE FUNCTION f() RETURNS SETOF v LANGUAGE sql AS 'SELECT * FROM v'")
    before = schema_of(database.url)
    with pytest.raises(Exception, match="cannot drop view v because other objects depend on it"):
        migrate(link, "DROP FUNCTION f(); DROP VIEW v")
    assert schema_of(database.url) == before


def test_a_view_that_shows_a_hidden_column_is_refused_by_name(database: Database) -> None:
    link = database.link()
    run(link, _T)
    with pytest.raises(Veto, match=r"makes the view public\.v: it shows the hidden column _bo_"):
        migrate(
            link, "ALTER TABLE t DROP COLUMN a; CREATE VIEW v AS SELECT second FROM t AS t (first, second)"
        )
    assert journal.every_entry(link) == []


def test_what_is_not_there_any_more_is_said_before(database: Database) -> None:
    link = database.link()
    run(link, _T)
    number = migrate(link, _V)
    other = migrate(link, "ALTER VIEW v RENAME TO w")
    entries = journal.entries(link, (number, other), "applied")
    assert obstacles(read_alone(link), entries) == []
    run(link, "DROP VIEW w")
    assert obstacles(read_alone(link), entries) == ["the view public.w is not there any more"]
    run(link, _V.replace(" v ", " w "))
    undo(link, number, other)
    assert obstacles_again(read_alone(link), journal.entries(link, (number, other), "undone")) == []


def test_the_plain_views_stay_when_it_is_final_and_when_backout_leaves(database: Database) -> None:
    link = database.link()
    run(link, f"{_T}; {_V}; CREATE VIEW w AS SELECT z FROM v")
    number = migrate(link, "DROP VIEW w, v; ALTER TABLE t DROP COLUMN z; CREATE VIEW v AS SELECT id FROM t")
    after = schema_of(database.url)
    finalize(link, [m for m in journal.migrations(link) if m.id == number], patience_s=5, dry_run=False)
    uninstall(link, patience_s=5)
    assert schema_of(database.url) == after


def test_a_materialized_view_is_filled_after_the_commit(database: Database) -> None:
    """As its query may take long: no table is locked meanwhile, and whoever comes after a kill finds what is due."""
    link = database.link()
    run(link, f"{_T}; CREATE MATERIALIZED VIEW mv AS SELECT id, 1 / z AS y FROM t")
    number = migrate(link, "DROP MATERIALIZED VIEW mv")
    assert undo_only(link, number) == ['REFRESH MATERIALIZED VIEW "public"."mv"']
    with pytest.raises(LinkError, match='materialized view "mv" has not been populated'):
        seen(link, "SELECT * FROM mv")
    run(link, "UPDATE t SET z = 0")
    (left,) = finish(link).unfinished
    assert left.why == "division by zero"
    run(link, "UPDATE t SET z = 1")
    assert finish(link).unfinished == ()
    assert seen(link, "SELECT * FROM mv") == "1 1"
    # What somebody empties after that is theirs.
    run(link, "DROP MATERIALIZED VIEW mv; CREATE MATERIALIZED VIEW other AS SELECT 1 AS x WITH NO DATA")
    assert finish(link).done == ()


def undo_only(link: DirectLink, number: int) -> list[str]:
    """Take a migration back; return what is due after it, which is not done."""
    back.undo(link, [m for m in journal.migrations(link) if m.id == number], patience_s=5)
    link.rows("BEGIN")
    found = due(link)
    link.rows("COMMIT")
    return found

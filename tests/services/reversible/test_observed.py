"""An observed migration runs as it is; what backout says of it is what it would have done, kind by kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.link import LinkError
from backout.databases.postgres.reversible.observer import Observed, Observer
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.databases.postgres.reversible.proxy.server import Proxy
from backout.databases.postgres.reversible.proxy.upstream import Upstream
from backout.databases.postgres.reversible.words import sentence

from .conftest import Database
from .engine import migrate, run
from .kinds import KINDS
from .servers import by_turns, share
from .states import rows_of, schema_of
from .test_refused import BEFORE, REFUSED

pytestmark = pytest.mark.slow

_BY_THE_SERVER = ("drop_table_needed", "drop_column_needed_by_a_view", "drop_type_needed")


def observe(database: Database, *scripts: str, answers: dict[str, str] | None = None) -> Observed:
    """Send each script at once, as one transaction, as psql -1 would."""
    journal.install(database.link())
    observed = Observed(dict(answers or {}))
    with Proxy(Upstream.of(database.url), lambda: Observer(observed)) as proxy:
        with closing(psycopg.connect(proxy.environment()["DATABASE_URL"], autocommit=True)) as connection:
            for script in scripts:
                connection.execute(script.encode())
        assert proxy.failures == []
    return observed


def kept(observed: Observed) -> list[str]:
    return [sentence(Entry(0, 0, 0, kind, operation, "observed")) for kind, operation in observed.kept]


def refused(observed: Observed) -> list[str]:
    return [one.message for one in observed.refused]


def hidden(database: Database) -> list[str | None]:
    """Return what there is in the database that has a name of the engine."""
    found = database.link().rows(
        "SELECT relname AS name FROM pg_class WHERE relname LIKE '\\_bo\\_%' UNION SELECT attname FROM pg_attribute "
        "WHERE attname LIKE '\\_bo\\_%' UNION SELECT tgname FROM pg_trigger WHERE tgname LIKE '\\_bo\\_%' "
        "UNION SELECT conname FROM pg_constraint WHERE conname LIKE '\\_bo\\_%' UNION SELECT proname FROM pg_proc "
        "WHERE proname LIKE '\\_bo\\_%' UNION SELECT kind FROM backout.change UNION SELECT old FROM backout.row_log"
    )
    return [one["name"] for one in found]


_KINDS = {kind.name: kind for kind in KINDS}


@pytest.mark.parametrize(("server", "name"), by_turns(share(_KINDS, 0, 3)), indirect=["server"])
def test_what_can_be_taken_back_is_told_as_the_engine_journals_it(
    name: str, database: Database, second: Database
) -> None:
    kind = _KINDS[name]
    run(database.link(), kind.before)
    run(second.link(), kind.before)
    number = migrate(second.link(), kind.up)

    observed = observe(database, kind.up)

    assert refused(observed) == []
    told = [sentence(entry) for entry in journal.entries(second.link(), (number,), "applied")]
    assert sorted(kept(observed)) == sorted(told)
    assert schema_of(database.url) == schema_of(second.url)
    assert rows_of(database.link()).keys() == rows_of(second.link()).keys()
    assert hidden(database) == []


@pytest.mark.parametrize(("server", "name"), by_turns(REFUSED), indirect=["server"])
def test_what_would_be_refused_is_told_and_done(name: str, database: Database, second: Database) -> None:
    for one in (database, second):
        run(one.link(), BEFORE)
        journal.install(one.link())
    if name in _BY_THE_SERVER:
        with pytest.raises(psycopg.Error):
            observe(database, REFUSED[name])
        assert schema_of(database.url) == schema_of(second.url)
        return
    with pytest.raises((Veto, LinkError)) as raised:
        migrate(second.link(), REFUSED[name])
    if name == "create_role":
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            observe(database, REFUSED[name])
        return

    observed = observe(database, REFUSED[name])

    # Which of several things is named first is left open.
    told = str(raised.value).partition(" transaction did to ")[0].partition(": public.")[0]
    assert any(one.startswith(told) for one in refused(observed)), refused(observed)
    if name == "drop_owned":
        return  # the tables of the engine, too
    run(second.link(), REFUSED[name])
    assert schema_of(database.url) == schema_of(second.url)
    assert rows_of(database.link()) == rows_of(second.link())
    assert hidden(database) == []


_SHOP = "CREATE TABLE a (id int PRIMARY KEY, x text, y text); INSERT INTO a VALUES (1, 'p', 'q')"


@contextmanager
def observing(database: Database) -> Iterator[tuple[Observed, psycopg.Connection[tuple[object, ...]]]]:
    """Hand over what is observed, and a client in autocommit."""
    run(database.link(), _SHOP)
    journal.install(database.link())
    observed = Observed()
    with Proxy(Upstream.of(database.url), lambda: Observer(observed)) as proxy:
        with closing(psycopg.connect(proxy.environment()["DATABASE_URL"], autocommit=True)) as connection:
            yield observed, connection
        assert proxy.failures == []


def test_what_a_client_undid_to_its_savepoint_is_told_as_the_engine_journals_it(
    database: Database, second: Database
) -> None:
    run(second.link(), _SHOP)
    statements = (
        "ALTER TABLE a DROP COLUMN x",
        "SAVEPOINT one",
        "ALTER TABLE a DROP COLUMN y",
        "CREATE MATERIALIZED VIEW v AS SELECT 1 AS one",
        "ROLLBACK TO SAVEPOINT one",
    )
    number = migrate(second.link(), "; ".join(statements))
    with observing(database) as (observed, client):
        for statement in ("BEGIN", *statements, "COMMIT"):
            client.execute(statement.encode())
        told = [sentence(entry) for entry in journal.entries(second.link(), (number,), "applied")]
        assert "column public.a.x dropped (hidden)" in told and "public.a.y" not in " ".join(told)
        assert kept(observed) == told
        assert refused(observed) == []
        assert client.execute("SELECT * FROM a").fetchall() == [(1, "q")]
    assert hidden(database) == []


def test_what_is_not_committed_is_not_told(database: Database) -> None:
    with observing(database) as (observed, client):
        client.execute("BEGIN")
        client.execute("ALTER TABLE a DROP COLUMN x")
        client.execute("ROLLBACK")
        client.execute("BEGIN")
        client.execute("DROP TABLE a")
        with pytest.raises(psycopg.errors.DivisionByZero):
            client.execute("SELECT 1 / 0")
        client.execute("COMMIT")  # the server makes a ROLLBACK of it
        assert (kept(observed), refused(observed)) == ([], [])
        assert client.execute("SELECT x FROM a").fetchall() == [("p",)]


def test_a_statement_with_parameters_is_looked_at_like_any_other(database: Database) -> None:
    with observing(database) as (observed, client):
        client.execute("UPDATE a SET x = %s WHERE id = %s", ("new", 1), prepare=True)
        client.execute(b"ALTER TABLE a DROP COLUMN y", (), prepare=True)
        client.execute("SELECT %s::int", (1,))
        assert kept(observed) == ["rows of public.a changed", "column public.a.y dropped (hidden)"]
        assert refused(observed) == []
        assert client.execute("SELECT * FROM a").fetchall() == [(1, "new")]
    assert hidden(database) == []


def test_what_runs_outside_a_transaction_is_looked_at_too(database: Database) -> None:
    with observing(database) as (observed, client):
        client.execute("CREATE INDEX CONCURRENTLY a_x ON a (x)")
        client.execute("INSERT INTO a VALUES (2, 'p', 'q')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            client.execute("CREATE UNIQUE INDEX CONCURRENTLY a_y ON a (y)")
        client.execute("VACUUM a")
        client.execute("REINDEX TABLE CONCURRENTLY a")
        client.execute("DROP INDEX CONCURRENTLY a_x")
        made = ["index public.a.a_x made", "rows of public.a changed", "index public.a.a_y made"]
        assert kept(observed) == [*made, "index public.a.a_x dropped (hidden)"]
        assert len(refused(observed)) == 1 and "REINDEX TABLE CONCURRENTLY a" in refused(observed)[0]
    left = database.link().rows("SELECT indexrelid::regclass::text AS i FROM pg_index WHERE NOT indisvalid")
    assert [row["i"] for row in left] == ["a_y"], "as the plain tool leaves it"


def test_what_another_session_commits_meanwhile_is_told_once(database: Database) -> None:
    """As Flyway: a transaction about its history is open while another session does the work."""
    run(database.link(), f"CREATE TABLE history (version int); {_SHOP}; CREATE INDEX low ON a ((lower(y)))")
    journal.install(database.link())
    observed = Observed()
    with Proxy(Upstream.of(database.url), lambda: Observer(observed)) as proxy:
        address = proxy.environment()["DATABASE_URL"]
        with psycopg.connect(address) as history, psycopg.connect(address) as work:
            history.execute("INSERT INTO history VALUES (1)")
            for statement in ("ADD z int", "DROP COLUMN x", "RENAME y TO w"):
                work.execute(f"ALTER TABLE a {statement}".encode())
            work.execute("ALTER INDEX low ALTER COLUMN 1 SET STATISTICS 100")
            work.commit()
            history.execute("ALTER TABLE history ADD at int")
            history.commit()
        assert proxy.failures == []
    assert sorted(kept(observed)) == [
        "column public.a.x dropped (hidden)",
        "column public.a.z made",
        "column public.history.at made",
        "column y is now public.a.w",
        "rows of public.history changed",
    ]
    assert len(refused(observed)) == 1 and "index public.a.low: another" in str(observed.refused[0])


def test_what_could_not_be_hidden_is_told_and_nothing_else_is_held_against_it(database: Database) -> None:
    run(database.link(), "CREATE TABLE parent (id int); CREATE TABLE child (x int) INHERITS (parent)")
    observed = observe(
        database, "ALTER TABLE parent ADD x int; CREATE TABLE n (id int); COMMENT ON TABLE n IS 'n'"
    )
    assert len(refused(observed)) == 1, refused(observed)
    assert "public.parent.x is a column of public.child, too, by its own" in refused(observed)[0]


def test_a_client_that_goes_away_in_the_middle_is_rolled_back_and_told_of_by_nobody(
    database: Database,
) -> None:
    with observing(database) as (observed, client):
        client.execute("BEGIN")
        client.execute("ALTER TABLE a DROP COLUMN x")
        client.close()
    assert (kept(observed), refused(observed)) == ([], [])
    assert database.link().rows("SELECT x FROM a") == [{"x": "p"}]


_BESIDE = "ALTER TABLE a ADD z text; UPDATE a SET z = {0}; ALTER TABLE a DROP COLUMN x"


@pytest.mark.parametrize("value", ["x", "y", "upper(y)", "x || y", "'new'", "(SELECT max(x) FROM a)"])
def test_a_column_beside_a_dropped_one_is_told_as_the_engine_takes_it(
    value: str, database: Database, second: Database
) -> None:
    _told_as_the_engine_takes_it(_BESIDE.format(value), database, second)


_STAR = "ALTER TABLE a {0}; CREATE VIEW v AS SELECT * FROM {1}"


# Names that are given to a table's columns by their place are those of others where one of the first is hidden: that is not told.
@pytest.mark.parametrize(
    ("change", "of"),
    [
        ("DROP COLUMN x", "a"),
        ("DROP COLUMN x", "a AS b(one)"),
        ("DROP COLUMN x", "(SELECT * FROM a) AS b(one)"),
        ("ALTER x TYPE varchar", "(SELECT * FROM a) AS b(one)"),
        ("ALTER id TYPE bigint", "a"),
        ("ALTER id TYPE bigint", "(SELECT * FROM a) AS b(one)"),
    ],
)
def test_a_star_is_told_as_the_engine_takes_it(
    change: str, of: str, database: Database, second: Database
) -> None:
    _told_as_the_engine_takes_it(_STAR.format(change, of), database, second)


def _told_as_the_engine_takes_it(up: str, database: Database, second: Database) -> None:
    for one in (database, second):
        run(one.link(), _SHOP)
    observed = observe(database, up)
    try:
        number = migrate(second.link(), up)
    except Veto as veto:
        assert refused(observed) == [veto.message]
    else:
        told = [sentence(entry) for entry in journal.entries(second.link(), (number,), "applied")]
        assert (sorted(kept(observed)), refused(observed)) == (sorted(told), [])
    assert hidden(database) == []

"""Who may do what, before, after and again: tried as those who may, and may not."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest
from tests.command_line import Done

from backout.databases.postgres.reversible import catalog, journal
from backout.databases.postgres.reversible.asking import Asking
from backout.databases.postgres.reversible.back import NotReversible
from backout.databases.postgres.reversible.link import Link, LinkError
from backout.databases.postgres.reversible.outlook import obstacles, obstacles_again
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.databases.postgres.reversible.since import rows_since
from backout.databases.postgres.reversible.words import sentence

from .conftest import Database
from .engine import migrate, redo, run, undo
from .servers import Server
from .states import schema_of, seen

pytestmark = pytest.mark.slow

_ROWS = "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'a1'), (2, 'a2'), (3, 'a3');"
_FORCED = "ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY;"


def test_rows_that_a_policy_hides_from_the_owner_are_filled_too(database: Database) -> None:
    link = database.link()
    run(link, f"{_ROWS} CREATE POLICY p ON t USING (id <> 3); {_FORCED}")
    before = schema_of(database.url)
    number = migrate(link, "ALTER TABLE t ADD n int NOT NULL DEFAULT 7; UPDATE t SET a = a || '!'")
    undo(link, number)
    assert schema_of(database.url) == before
    run(
        link,
        "INSERT INTO t VALUES (4, 'a4'); ALTER TABLE t NO FORCE ROW LEVEL SECURITY; INSERT INTO t VALUES (5, 'a5');"
        "UPDATE t SET id = 30 WHERE id = 3; ALTER TABLE t FORCE ROW LEVEL SECURITY",
    )
    redo(link, number)
    run(link, "ALTER TABLE t NO FORCE ROW LEVEL SECURITY")
    assert seen(link, "SELECT id, n FROM t ORDER BY id") == "1 7 | 2 7 | 4 7 | 5 7 | 30 7"


def test_row_security_that_somebody_switched_since_is_left(database: Database) -> None:
    link = database.link()
    run(link, _ROWS)
    number = migrate(link, "ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    run(link, "ALTER TABLE t FORCE ROW LEVEL SECURITY")
    with pytest.raises(NotReversible, match=r"public\.t has another row level security since"):
        undo(link, number)
    run(link, "ALTER TABLE t NO FORCE ROW LEVEL SECURITY")
    undo(link, number)
    assert seen(link, "SELECT relrowsecurity FROM pg_class WHERE relname = 't'") == "f"


def as_other(link: Link, query: str) -> str:
    """Return what the role `other` sees."""
    run(link, "SET ROLE other")
    try:
        return seen(link, query)
    finally:
        run(link, "RESET ROLE")


def left(link: Link, number: int, why: str, *, forward: bool = False) -> None:
    """Assert that a way is refused by that reason, which is told beforehand, and that nothing was changed."""
    there = catalog.read_alone(link)
    told = (obstacles_again if forward else obstacles)(there, journal.every_entry(link))
    assert [one for one in told if re.search(why, one)]
    with pytest.raises(NotReversible, match=why):
        (redo if forward else undo)(link, number)
    assert catalog.read_alone(link) == there


def refused(link: Link, number: int, why: str) -> None:
    """Assert that a way back is refused by that reason, and that nothing was changed."""
    there = catalog.read_alone(link)
    with pytest.raises(NotReversible, match=why):
        undo(link, number)
    assert catalog.read_alone(link) == there


_SEES = "SELECT id FROM t ORDER BY id"
_READ = f"{_ROWS} GRANT SELECT ON t TO other; ALTER TABLE t ENABLE ROW LEVEL SECURITY;"


def test_another_role_sees_what_the_policy_of_then_lets_it_see(database: Database) -> None:
    link = database.link()
    run(link, f"{_READ} CREATE POLICY p ON t FOR SELECT TO other USING (a IN ('a1', 'a2'))")
    number = migrate(
        link,
        "DROP POLICY p ON t; ALTER TABLE t RENAME a TO b; CREATE POLICY p ON t FOR SELECT TO other USING (b = 'a3')",
    )
    assert as_other(link, _SEES) == "3"
    undo(link, number)
    assert as_other(link, _SEES) == "1 | 2"
    redo(link, number)
    assert as_other(link, _SEES) == "3"


def test_a_policy_over_a_table_that_is_renamed_comes_back_by_its_earlier_name(database: Database) -> None:
    link = database.link()
    run(link, f"{_READ} CREATE TABLE u (x int); INSERT INTO u VALUES (2); GRANT SELECT ON u TO other;"
        "CREATE POLICY p ON t USING (id IN (SELECT x FROM u WHERE a <> ''))")  # fmt: skip
    before = schema_of(database.url)
    numbers = [
        migrate(link, "ALTER TABLE u RENAME TO v; ALTER TABLE v RENAME x TO y"),
        migrate(link, "ALTER POLICY p ON t USING (id IN (SELECT y + 1 FROM v))"),
    ]
    assert as_other(link, _SEES) == "3"
    after = schema_of(database.url)
    for number in reversed(numbers):
        undo(link, number)
    assert schema_of(database.url) == before and as_other(link, _SEES) == "2"
    for number in numbers:
        redo(link, number)
    assert schema_of(database.url) == after and as_other(link, _SEES) == "3"


def test_a_policy_that_was_changed_since_is_left(database: Database) -> None:
    link = database.link()
    run(link, _READ)
    number = migrate(link, "CREATE POLICY p ON t USING (id = 1)")
    run(link, "ALTER POLICY p ON t USING (id = 2)")
    left(link, number, r"p was changed by somebody else since")
    run(link, "ALTER POLICY p ON t USING (id = 1)")
    undo(link, number)
    dropped = migrate(link, "CREATE POLICY q ON t", "DROP POLICY q ON t; CREATE POLICY r ON t")
    run(link, "DROP POLICY r ON t")
    left(link, dropped, r"\.r is not there")


def test_a_policy_that_is_not_as_before_any_more_is_not_dropped_again(database: Database) -> None:
    link = database.link()
    run(link, f"{_READ} CREATE POLICY p ON t USING (id = 1)")
    number = migrate(link, "DROP POLICY p ON t")
    undo(link, number)
    run(link, "ALTER POLICY p ON t TO other")
    left(link, number, r"p was changed by somebody else since", forward=True)


def test_a_policy_never_speaks_of_another_column_than_before(database: Database) -> None:
    link = database.link()
    run(link, f"{_READ} ALTER TABLE t ADD b text; CREATE POLICY p ON t USING (a = 'a1')")
    number = migrate(link, "DROP POLICY p ON t")
    run(link, "ALTER TABLE t RENAME a TO c; ALTER TABLE t RENAME b TO a")
    with pytest.raises(NotReversible, match=r"p would speak of other columns than before"):
        undo(link, number)
    run(link, "ALTER TABLE t RENAME a TO b")
    with pytest.raises(NotReversible, match=r'p cannot be made again: column "a" does not exist'):
        undo(link, number)
    run(link, "ALTER TABLE t RENAME c TO a")
    undo(link, number)


def test_a_policy_of_a_role_that_was_dropped_since(database: Database, server: Server) -> None:
    link, name = database.link(), f"passing{server.version}"
    with server.connected(superuser=True) as admin:
        admin.execute(f"CREATE ROLE {name}")
    run(link, f"{_READ} CREATE POLICY p ON t TO {name}, other USING (true)")
    number = migrate(link, "DROP POLICY p ON t")
    with server.connected(superuser=True) as admin:
        admin.execute(f"DROP ROLE {name}")
    with pytest.raises(NotReversible, match=rf"p cannot be as it was: the role {name} is not there"):
        undo(link, number)
    with server.connected(superuser=True) as admin:
        admin.execute(f"CREATE ROLE {name}")
    undo(link, number)
    run(link, "DROP POLICY p ON t")
    with server.connected(superuser=True) as admin:
        admin.execute(f"DROP ROLE {name}")


def test_privileges_of_what_is_dropped_then_come_back_with_it(database: Database) -> None:
    link = database.link()
    run(link, f"{_ROWS} GRANT SELECT (a) ON t TO reader; CREATE TABLE o (x int)")
    before = schema_of(database.url)
    number = migrate(
        link,
        "REVOKE SELECT (a) ON t FROM reader; ALTER TABLE t DROP a; GRANT SELECT ON o TO PUBLIC; DROP TABLE o",
    )
    after = schema_of(database.url)
    told = [sentence(one) for one in journal.every_entry(link) if one.kind == "privileges"]
    assert told == ["privileges on public.o changed", "privileges on public.t.a changed"]
    undo(link, number)
    assert schema_of(database.url) == before
    redo(link, number)
    assert schema_of(database.url) == after
    undo(link, number)
    assert schema_of(database.url) == before


_DENIED = "42501"


def denied(link: Link, query: str) -> bool:
    """Tell whether the role `other` is refused a query."""
    try:
        as_other(link, query)
    except LinkError as error:
        assert error.sqlstate == _DENIED
        return True
    return False


def test_another_role_may_read_what_it_might_then(database: Database) -> None:
    link = database.link()
    run(
        link,
        f"{_ROWS} GRANT SELECT (id) ON t TO other; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    number = migrate(
        link,
        "GRANT SELECT ON t TO other; REVOKE SELECT (id) ON t FROM other; REVOKE ALL ON FUNCTION f FROM PUBLIC",
    )
    assert as_other(link, "SELECT a FROM t WHERE id = 1") == "a1" and denied(link, "SELECT f()")
    undo(link, number)
    assert as_other(link, _SEES) == "1 | 2 | 3" and as_other(link, "SELECT f()") == "1"
    assert denied(link, "SELECT a FROM t")
    redo(link, number)
    assert as_other(link, "SELECT a FROM t WHERE id = 1") == "a1" and denied(link, "SELECT f()")


def test_what_somebody_else_was_given_since_stays(database: Database) -> None:
    link = database.link()
    run(link, f"{_ROWS} GRANT SELECT ON t TO reader")
    number = migrate(link, "REVOKE ALL ON t FROM reader; GRANT UPDATE ON t TO reader")
    run(link, "GRANT DELETE ON t TO other; GRANT SELECT (a) ON t TO other; GRANT INSERT ON t TO reader")
    undo(link, number)
    assert seen(link, _HELD) == "other DELETE | reader INSERT | reader SELECT"
    run(link, "REVOKE INSERT ON t FROM reader; GRANT TRUNCATE ON t TO other")
    redo(link, number)
    assert seen(link, _HELD) == "other DELETE | other TRUNCATE | reader UPDATE"
    assert seen(link, "SELECT attacl::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'a'") == "{other=r/collector}"  # fmt: skip


_HELD = (
    "SELECT grantee::regrole::text AS grantee, privilege_type FROM pg_class, aclexplode(relacl) WHERE relname = 't' "
    "AND grantee <> relowner ORDER BY 1, 2"
)


def test_privileges_that_somebody_gave_otherwise_since_are_left(database: Database) -> None:
    link = database.link()
    run(link, f"{_ROWS} GRANT CREATE ON SCHEMA public TO other")
    number = migrate(link, "GRANT SELECT ON t TO other")
    run(link, "GRANT SELECT ON t TO other WITH GRANT OPTION")
    refused(link, number, r'public\.t for "other": SELECT was given otherwise by somebody else since')
    run(link, "REVOKE GRANT OPTION FOR SELECT ON t FROM other; ALTER TABLE t OWNER TO other")
    refused(link, number, r"public\.t has another owner since")
    run(link, "ALTER TABLE t OWNER TO collector; REVOKE SELECT ON t FROM other")
    undo(link, number)  # it is as before already


def test_a_privilege_that_its_holder_has_given_on_since_is_not_taken_from_others(database: Database) -> None:
    link = database.link()
    run(link, _ROWS)
    number = migrate(link, "GRANT SELECT ON t TO other WITH GRANT OPTION")
    run(link, "SET ROLE other; GRANT SELECT ON t TO reader; RESET ROLE")
    refused(link, number, r"public\.t has privileges that their holder has given on to others since")
    run(link, "SET ROLE other; REVOKE SELECT ON t FROM reader; RESET ROLE")
    undo(link, number)


def test_privileges_that_were_given_on_come_back_from_whom_they_were(database: Database) -> None:
    link = database.link()
    run(
        link,
        f"{_ROWS} GRANT SELECT ON t TO other WITH GRANT OPTION; SET ROLE other; GRANT SELECT ON t TO reader; RESET ROLE",
    )
    before = schema_of(database.url)
    number = migrate(link, "REVOKE SELECT ON t FROM other CASCADE")
    after = schema_of(database.url)
    undo(link, number)
    assert schema_of(database.url) == before
    redo(link, number)
    assert schema_of(database.url) == after


def test_what_the_role_of_the_migration_could_not_give_back_is_refused(
    database: Database, server: Server
) -> None:
    link = database.link()
    run(link, f"{_ROWS} CREATE TABLE u (id int); GRANT SELECT ON t TO reader WITH GRANT OPTION")
    with psycopg.connect(
        server.postgres.superuser_url, dbname=database.url.rsplit("/", 1)[1], autocommit=True
    ) as admin:
        admin.execute("SET ROLE reader; GRANT SELECT ON t TO other; RESET ROLE; ALTER TABLE u OWNER TO other")
    journal.install(link)
    there = catalog.read_alone(link)
    for up, why in (
        ("REVOKE SELECT ON t FROM reader CASCADE", 'permission denied to set role "reader"'),
        ("ALTER TABLE u OWNER TO collector", "permission denied for schema public"),
    ):
        with pytest.raises(
            Veto, match=r"could not undo what was done to owners or privileges of public\.[tu]"
        ) as raised:
            migrate(link, up)
        assert why in str(raised.value.detail)
        assert catalog.read_alone(link) == there


@pytest.mark.parametrize(
    "up",
    [
        "GRANT CONNECT ON DATABASE {name} TO other",
        "DO $$BEGIN EXECUTE 'GRANT CONNECT ON DATABASE {name} TO other'; END$$",
        "ALTER DATABASE {name} OWNER TO other",
        "GRANT USAGE ON LANGUAGE sql TO other",
        "GRANT USAGE ON SCHEMA backout TO other",
        "GRANT USAGE ON SCHEMA backout_hidden TO other",
    ],
)
def test_privileges_that_are_not_of_the_schema_are_refused(up: str, database: Database) -> None:
    link, name = database.link(), database.url.rsplit("/", 1)[1]
    journal.install(link)
    there = catalog.read_alone(link)
    with pytest.raises(Veto):
        migrate(link, up.format(name=name))
    assert catalog.read_alone(link) == there


def test_no_other_role_can_read_or_write_the_journal_or_what_is_hidden(database: Database) -> None:
    """Whatever new things are given to everybody by default."""
    link = database.link()
    kinds = ("TABLES", "SEQUENCES", "FUNCTIONS", "TYPES", "SCHEMAS")
    open_ = "; ".join(f"ALTER DEFAULT PRIVILEGES GRANT ALL ON {kind} TO other, PUBLIC" for kind in kinds)
    run(link, f"{open_}; {_ROWS} CREATE TABLE o (x int)")
    numbers = [
        migrate(link, "DROP TABLE o; ALTER TABLE t DROP a; UPDATE t SET id = id + 10"),
        migrate(
            link, f"{open_.replace('GRANT', 'REVOKE').replace(' TO ', ' FROM ')}; CREATE TABLE n (x int)"
        ),
        migrate(
            link,
            f"{open_}; ALTER TABLE t ALTER id TYPE bigint; GRANT ALL ON ALL TABLES IN SCHEMA public TO other",
        ),
    ]
    for way in (lambda link, number: None, undo, redo):
        for number in numbers if way is redo else reversed(numbers):
            way(link, number)
            there = seen(
                link,
                "SELECT c.oid::regclass::text AS path FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE nspname IN ('backout', 'backout_hidden') AND relkind IN ('r', 'S')",
            ).split(" | ")
            assert "backout.change" in there and "backout.row_log" in there
            for path in there:
                assert denied(link, f"SELECT * FROM {path}")
            assert denied(link, "DELETE FROM backout.change") and denied(
                link, "INSERT INTO backout.change DEFAULT VALUES"
            )
            assert denied(link, "CREATE TABLE backout.mine (x int)") and denied(
                link, "SELECT backout.refuse()"
            )


def test_what_the_policy_of_a_dropped_table_needs_can_be_dropped_after_it(database: Database) -> None:
    link = database.link()
    run(link, "CREATE FUNCTION f() RETURNS boolean LANGUAGE sql AS 'SELECT true'; CREATE TABLE u (x int);"
        f"{_ROWS} CREATE POLICY p ON t USING (f() AND id IN (SELECT x FROM u))")  # fmt: skip
    before = schema_of(database.url)
    numbers = [migrate(link, "DROP TABLE t"), migrate(link, "DROP FUNCTION f; DROP TABLE u")]
    for number in reversed(numbers):
        undo(link, number)
    assert schema_of(database.url) == before


def test_rows_that_a_policy_hides_from_the_owner_are_not_counted_as_none(database: Database) -> None:
    link = database.link()
    run(link, f"{_ROWS} ALTER TABLE t ADD CONSTRAINT c CHECK (id < 9)")
    number = migrate(link, "ALTER TABLE t DROP CONSTRAINT c")
    run(link, f"INSERT INTO t VALUES (10, 'a10'); CREATE POLICY p ON t USING (id < 9); {_FORCED}")
    (told,) = rows_since(Asking(link), catalog.read_alone(link), journal.entries(link, (number,), "applied"))
    assert told.rows is None and "row-level security" in str(told)


def test_the_life_of_a_migration_of_access_as_it_is_typed(
    database: Database, server: Server, typed: Callable[..., Done]
) -> None:
    link = database.link()
    run(
        link,
        f"{_READ} ALTER TABLE t ADD z int; GRANT CREATE ON SCHEMA public TO other; GRANT SELECT ON t TO reader WITH GRANT OPTION",
    )
    up = (
        f"BEGIN; CREATE POLICY p ON t FOR SELECT TO other USING (z > 0); {_FORCED} REVOKE INSERT ON t FROM collector;"
        "GRANT DELETE ON t TO other; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO other; ALTER TABLE t OWNER TO other; COMMIT"
    )
    before = schema_of(database.url)
    told = (
        typed("migrate", "--release", "2.0.0", "--", "psql", "-v", "ON_ERROR_STOP=1", "-c", up)
        .ended(0)
        .everything
    )
    after = schema_of(database.url)
    assert "can be taken back" in told and "  owner of public.t changed" in told
    assert "  policy public.t.p made" in told and "  row level security of public.t switched" in told
    assert (
        "  privileges on public.t changed" in told
        and "  default privileges of collector on tables changed" in told
    )
    assert "is possible now: yes" in typed("db", "status").ended(0).out

    run(link, "ALTER POLICY p ON t USING (z > 1)")
    assert "public.t.p was changed by somebody else since" in typed("db", "status").everything
    typed("db", "rollback", "--yes").refused(
        8, what=r"public\.t\.p was changed", now="Nothing was changed", next="history"
    )
    run(link, "ALTER POLICY p ON t USING (z > 0)")
    assert (
        'ALTER TABLE "public"."t" NO FORCE ROW LEVEL SECURITY'
        in typed("db", "rollback", "--dry-run").ended(0).out
    )
    typed("db", "rollback", "--yes").ended(0)
    assert schema_of(database.url) == before
    typed("db", "redo", "--yes").ended(0)
    assert schema_of(database.url) == after

    with psycopg.connect(
        server.postgres.superuser_url, dbname=database.url.rsplit("/", 1)[1], autocommit=True
    ) as admin:
        admin.execute("SET ROLE reader; GRANT SELECT ON t TO PUBLIC")
    no = typed(
        "migrate", "--", "psql", "-v", "ON_ERROR_STOP=1", "-c", "REVOKE SELECT ON t FROM reader CASCADE"
    ).ended(1)
    assert "backout could not undo what was done to owners or privileges of public.t" in no.everything
    assert 'permission denied to set role "reader"' in no.everything
    assert schema_of(database.url)[1]["table public.t"] != after[1]["table public.t"]  # PUBLIC reads it still

    typed("db", "finalize", "--now", "--yes").ended(0)
    typed("db", "uninstall", "--yes").ended(0)
    assert seen(link, "SELECT relforcerowsecurity FROM pg_class WHERE relname = 't'") == "t"

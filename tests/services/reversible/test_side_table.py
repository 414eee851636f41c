"""`keep: side-table`: a dropped column is really dropped, its values are in a table beside, and nothing of them is lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest
from tests.command_line import Done

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.embedded.server import EmbeddedPostgres

from .conftest import Database
from .engine import migrate, redo, run, undo
from .kinds import COLUMNS_DROPPED, KEEP, Kind
from .servers import by_turns
from .states import catalog_of, schema_of, seen

pytestmark = pytest.mark.slow

_WHAT_HANGS_ON_IT = (
    "column_dropped_json",
    "column_dropped_enum",
    "column_dropped_collated",
    "column_dropped_indexed",
    "column_dropped_that_a_unique_index_reads",
    "column_dropped_foreign_key",
    "column_dropped_check",
    "two_columns_dropped",
)
BESIDE = [replace(one, up=KEEP + one.up) for one in COLUMNS_DROPPED if one.name in _WHAT_HANGS_ON_IT]
T = "CREATE TABLE t (id int PRIMARY KEY, n text, a text DEFAULT 'a'); INSERT INTO t SELECT g, 'n' || g, 'a' || g FROM generate_series(1, 4) g;"
DROP = KEEP + "ALTER TABLE t DROP COLUMN n"
N = "SELECT id, n FROM t ORDER BY id"


@pytest.mark.parametrize("kind", BESIDE, ids=lambda kind: kind.name)
def test_there_and_back_and_there_again(kind: Kind, database: Database, second: Database) -> None:
    link = database.link()
    run(link, kind.before)
    run(second.link(), kind.before)
    run(second.link(), kind.up)
    before, after = schema_of(database.url), schema_of(second.url)

    number = migrate(link, kind.up)
    assert schema_of(database.url) == after
    assert link.rows("SELECT FROM pg_attribute WHERE attname ~ '^_bo_' AND attrelid = 't'::regclass") == []
    run(link, kind.new)

    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, kind.look) == kind.back
    run(link, kind.old)

    redo(link, number)
    assert schema_of(database.url) == after
    assert seen(link, kind.ahead) == kind.forth
    undo(link, number)
    assert schema_of(database.url) == before


@pytest.mark.parametrize(
    ("since", "found"),
    [
        ("UPDATE t SET id = 9 WHERE id = 1", "2 n2 | 3 n3 | 4 n4 | 9 n1"),
        ("UPDATE t SET id = id + 10", "11 n1 | 12 n2 | 13 n3 | 14 n4"),
        ("DELETE FROM t WHERE id = 2; INSERT INTO t (id) VALUES (2)", "1 n1 | 2 - | 3 n3 | 4 n4"),
        ("DELETE FROM t WHERE id = 2; UPDATE t SET id = 2 WHERE id = 1; INSERT INTO t (id) VALUES (1)", "1 - | 2 n1 | 3 n3 | 4 n4"),
        ("UPDATE t SET id = 99 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = 99", "1 n2 | 2 n1 | 3 n3 | 4 n4"),
        ("TRUNCATE t; INSERT INTO t (id) VALUES (1)", "1 -"),
        ("INSERT INTO t VALUES (5, 'by place'); ALTER TABLE t RENAME id TO key_; UPDATE t SET key_ = 6 WHERE key_ = 1; ALTER TABLE t RENAME key_ TO id", "2 n2 | 3 n3 | 4 n4 | 5 - | 6 n1"),
        ("SET session_replication_role = replica; UPDATE t SET id = 9 WHERE id = 1; RESET session_replication_role", "2 n2 | 3 n3 | 4 n4 | 9 n1"),
    ],
)  # fmt: skip
def test_values_follow_their_rows_and_a_new_row_of_an_old_key_has_none(
    since: str, found: str, database: Database, postgres: EmbeddedPostgres
) -> None:
    link = database.link()
    run(link, T)
    number = migrate(link, DROP)
    if "replica" in since:
        name = database.url.rsplit("/", 1)[1]
        with closing(psycopg.connect(postgres.superuser_url, dbname=name, autocommit=True)) as admin:
            run(DirectLink(admin), since)
    else:
        run(link, since)
    undo(database.link(), number)
    assert seen(link, N) == found


def test_who_names_no_columns_writes_and_reads_as_without_backout(database: Database) -> None:
    link = database.link()
    run(link, T)
    number = migrate(link, DROP)
    assert [one.name for one in database.connect().execute("SELECT * FROM t").description or ()] == [
        "id",
        "a",
    ]
    run(link, "INSERT INTO t VALUES (5, 'a5')")
    with database.connect().cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
        copy.write("6\ta6\n")
    outcome = undo(link, number)
    assert seen(link, "SELECT * FROM t WHERE id > 3 ORDER BY id") == "4 a4 n4 | 5 a5 - | 6 a6 -"
    assert outcome.residues == ["public.t.n stands last now: PostgreSQL adds a column at the end alone"]


LATER = {
    "deletes": ("DELETE FROM t WHERE id = 2", ""),
    "deletes_new_of_an_old_key": ("DELETE FROM t WHERE id = 2", "DELETE FROM t WHERE id = 2; INSERT INTO t (id) VALUES (2)"),
    "truncates": ("TRUNCATE t", ""),
    "changes_keys": ("UPDATE t SET id = id + 10 WHERE id = 1", ""),
    "changes_the_type_of_the_key": ("ALTER TABLE t ALTER id TYPE bigint", ""),
    "has_another_key": ("ALTER TABLE t ADD k int; UPDATE t SET k = id; ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (k)", ""),
    "has_a_column_of_its_name": ("ALTER TABLE t ADD n int", ""),
    "drops_another": (KEEP + "ALTER TABLE t DROP COLUMN a", ""),
    "drops_the_table": ("DROP TABLE t", ""),
}  # fmt: skip


@pytest.mark.parametrize(("server", "name"), by_turns(LATER), indirect=["server"])
def test_what_a_later_migration_did_goes_back_before_it_or_with_it(name: str, database: Database) -> None:
    link = database.link()
    run(link, T)
    before = schema_of(database.url)
    first = migrate(link, DROP)
    run(link, LATER[name][1])
    ids = seen(link, "SELECT id FROM t ORDER BY id")
    second = migrate(link, LATER[name][0])
    for together in (False, True):
        if together:
            undo(link, first, second)
        else:
            undo(link, second)
            undo(link, first)
        assert schema_of(database.url) == before
        lost = (2,) if name == "deletes_new_of_an_old_key" else ()
        wanted = [
            f"{id_} {'-' if int(id_) > 4 or int(id_) in lost else f'n{id_}'}" for id_ in ids.split(" | ")
        ]
        assert seen(link, N) == " | ".join(wanted)
        redo(link, first)
        redo(link, second)


EARLIER = {
    "made_it": ("ALTER TABLE t ADD n text; UPDATE t SET n = 'n' || id", ""),
    "changed_rows": ("UPDATE t SET n = 'n' || id WHERE n IS NULL", "ALTER TABLE t ADD n text DEFAULT NULL"),
    "deleted_rows": ("DELETE FROM t WHERE id = 2", "ALTER TABLE t ADD n text; UPDATE t SET n = 'n' || id"),
    "made_it_required": ("ALTER TABLE t ALTER n SET NOT NULL", "ALTER TABLE t ADD n text DEFAULT 'd'; UPDATE t SET n = 'n' || id"),
    "made_a_unique_index": ("CREATE UNIQUE INDEX i ON t (n)", "ALTER TABLE t ADD n text; UPDATE t SET n = 'n' || id"),
    "changed_its_type": ("ALTER TABLE t ALTER n TYPE text", "ALTER TABLE t ADD n varchar(9); UPDATE t SET n = 'n' || id"),
    "granted": ("GRANT SELECT (n) ON t TO other", "ALTER TABLE t ADD n text; UPDATE t SET n = 'n' || id"),
}  # fmt: skip


@pytest.mark.parametrize(("server", "name"), by_turns(EARLIER), indirect=["server"])
def test_what_an_earlier_migration_did_to_the_column_goes_back_after_it_or_with_it(
    name: str, database: Database
) -> None:
    link = database.link()
    run(link, T.replace(" n text,", "").replace("'n' || g, ", "") + EARLIER[name][1])
    columns = {"made_it": "id, a", "renamed_it": "id, a, m"}.get(name, "id, a, n")
    look = f"SELECT {columns} FROM t ORDER BY id"
    before, rows = schema_of(database.url), seen(link, look)
    first = migrate(link, EARLIER[name][0])
    between = seen(link, N)
    second = migrate(link, DROP)
    for together in (False, True):
        if together:
            undo(link, first, second)
        else:
            undo(link, second)
            assert seen(link, N) == between
            undo(link, first)
        assert schema_of(database.url) == before
        assert seen(link, look) == rows
        redo(link, first)
        assert seen(link, N) == between
        redo(link, second)


@pytest.mark.parametrize("name", ["k", "v", "gone", "s", "it's \\", '"'])
def test_tables_and_columns_may_be_called_as_they_like(name: str, database: Database) -> None:
    link = database.link()
    quoted = ident(name)
    run(link, f'CREATE TABLE {quoted} ({quoted} text NOT NULL DEFAULT \'d\', "key """ text PRIMARY KEY)')
    run(link, f"INSERT INTO {quoted} VALUES ('x', 'a{{1,\"'), ('y', 'b''\\')")
    up = f"ALTER TABLE {quoted} DROP COLUMN {quoted}"
    number = migrate(link, up, answers={f"keep {name}": "side-table"})
    run(link, f"INSERT INTO {quoted} VALUES ('c')")
    undo(link, number)
    assert seen(link, f'SELECT {quoted} FROM {quoted} ORDER BY "key """') == "x | y | d"


def test_a_column_that_others_get_their_values_from_is_hidden_or_needs_an_answer(database: Database) -> None:
    link = database.link()
    run(link, T)
    with pytest.raises(Veto, match="needs an answer"):
        migrate(link, f"ALTER TABLE t ADD m text; DO $$BEGIN UPDATE t SET m = n; END$$;{DROP}")
    number = migrate(link, f"ALTER TABLE t ADD m text; UPDATE t SET m = n;{DROP}")
    run(link, "UPDATE t SET m = 'new' WHERE id = 1")
    undo(link, number)
    assert seen(link, N) == "1 new | 2 n2 | 3 n3 | 4 n4"


def test_rows_that_the_same_migration_changes_afterwards_go_back_too(database: Database) -> None:
    link = database.link()
    run(link, T)
    before = seen(link, "SELECT id, n, a FROM t ORDER BY id")
    number = migrate(
        link, DROP + "; UPDATE t SET a = 'b'; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (5, 'a5')"
    )
    after = seen(link, "SELECT * FROM t ORDER BY id")
    for _again in range(2):
        undo(link, number)
        assert seen(link, "SELECT id, n, a FROM t ORDER BY id") == before
        redo(link, number)
        assert seen(link, "SELECT * FROM t ORDER BY id") == after


@pytest.mark.parametrize(
    ("before", "up", "why"),
    [
        ("CREATE TABLE t (id int, n text)", "", "without a primary key"),
        ("CREATE TABLE t (id int, n int, PRIMARY KEY (id, n))", "", "is in the primary key"),
        ("CREATE TABLE t (id int PRIMARY KEY DEFERRABLE, n int)", "", "DEFERRABLE"),
        ("CREATE TABLE t (id int PRIMARY KEY, n serial)", "", "gets its values by itself"),
        ("CREATE TABLE t (id int PRIMARY KEY, n int) PARTITION BY RANGE (id)", "", "partitioned"),
        ("CREATE TABLE t (id int PRIMARY KEY, n int4range, EXCLUDE USING gist (n WITH &&))", "", "could not be built again"),
        ("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1)", "UPDATE t SET id = 2;", "rows this migration has changed"),
        ("CREATE TABLE t (id int PRIMARY KEY, n int)", "-- backout: keep t = hidden\n", "does not know how to keep"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_beside_is_refused_with_the_reason_and_can_be_hidden(
    before: str, up: str, why: str, database: Database
) -> None:
    link = database.link()
    run(link, before)
    journal.install(link)
    was = catalog_of(link)
    with pytest.raises(Veto) as raised:
        migrate(link, up + (KEEP if "keep" not in up else "") + "ALTER TABLE t DROP COLUMN n")
    assert why in raised.value.message
    assert "backout: keep t = " in str(raised.value.hint)
    assert catalog_of(link) == was


def test_what_is_kept_beside_is_its_owners_alone_is_told_and_goes_for_good(
    database: Database, typed: Callable[..., Done]
) -> None:
    link = database.link()
    run(
        link,
        T
        + "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO other; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO other",
    )
    plain = schema_of(database.url)
    up = ("migrate", "--keep", "t=side-table", "--", "psql", "-X", "-q", "-c", "ALTER TABLE t DROP COLUMN n")
    assert "column public.t.n dropped (its values are in a table beside)" in typed(*up).ended(0).everything
    table = "SELECT relacl::text FROM pg_class WHERE relname = '_bo_1_values'"
    assert "other" not in seen(link, table)
    told = typed("db", "status").ended(0).everything
    assert "values of public.t.n of migration 1: " in told
    assert "row(s) of public.t.n come back from a table beside" in told
    assert "backout_hidden._bo_1_values" in typed("db", "uninstall", "--yes").everything
    typed("db", "rollback", "--yes").ended(0)
    assert schema_of(database.url) == plain
    assert seen(link, N) == "1 n1 | 2 n2 | 3 n3 | 4 n4"
    typed("db", "redo", "--yes").ended(0)
    typed("db", "finalize", "--now", "--yes").ended(0)
    assert link.rows("SELECT FROM pg_class WHERE relname ~ '^_bo_'") == []
    assert link.rows("SELECT FROM pg_trigger WHERE tgname ~ '_bo_'") == []
    assert link.rows("SELECT FROM pg_proc WHERE proname ~ '^_bo_'") == []
    typed("db", "uninstall", "--yes").ended(0)

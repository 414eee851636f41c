"""What others see of what is hidden (people, tools, subscribers, dumps, other sessions): traps by their number."""

from __future__ import annotations

import re
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine
from tests.command_line import Done

from backout.databases.postgres.programs import find_programs
from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.alone import alone
from backout.databases.postgres.reversible.link import DirectLink, LinkError
from backout.databases.postgres.reversible.locks import Locked
from backout.embedded.server import EmbeddedPostgres

from .conftest import Database
from .engine import migrate, run, undo
from .kinds import KINDS
from .states import catalog_of, rows_of, schema_of, seen

pytestmark = pytest.mark.slow

BY_NAME = {one.name: one for one in KINDS}
SOME = (
    "column_added_and_filled", "column_dropped_serial_key", "table_dropped_with_children", "check_dropped",
    "index_added_concurrently", "enum_dropped_with_column", "trigger_dropped_with_function", "not_null_dropped_with_answer",
)  # fmt: skip
T = "CREATE TABLE t (id int PRIMARY KEY, a text, b int); INSERT INTO t VALUES (1, 'a1', 1)"


@pytest.fixture
def link(database: Database) -> DirectLink:
    return database.link()


def test_2_a_star_shows_the_hidden_column_and_named_columns_do_not(link: DirectLink) -> None:
    run(link, T)
    number = migrate(link, "ALTER TABLE t DROP COLUMN a")
    (change,) = journal.entries(link, (number,), "applied")
    assert list(link.rows("SELECT * FROM t")[0]) == ["id", f"_bo_{change.id}", "b"]
    assert seen(link, "SELECT id, b FROM t") == "1 1"
    with pytest.raises(LinkError, match='column "a" does not exist'):
        run(link, "SELECT a FROM t")


def test_7_a_publication_of_a_table_names_the_hidden_column_until_it_comes_back(link: DirectLink) -> None:
    run(link, f"{T}; CREATE PUBLICATION p FOR TABLE t")
    named = "SELECT attnames FROM pg_publication_tables WHERE pubname = 'p'"
    number = migrate(link, "ALTER TABLE t DROP COLUMN a")
    assert seen(link, named).startswith("{id,_bo_")
    undo(link, number)
    assert seen(link, named) == "{id,a,b}"


def test_7_what_names_the_column_itself_keeps_it_as_in_the_plain_database(link: DirectLink) -> None:
    run(link, f"{T}; CREATE PUBLICATION p FOR TABLE t (id, a);"
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT max(b) FROM t; END")  # fmt: skip
    before = catalog_of(link)
    for column, what in (("a", "publication"), ("b", "function f")):
        with pytest.raises(LinkError, match="other objects depend on it") as raised:
            migrate(link, f"ALTER TABLE t DROP COLUMN {column}")
        assert what in raised.value.fields["D"]
    assert catalog_of(link).things.keys() >= before.things.keys()


def test_8_a_view_of_all_columns_is_what_it_was_when_a_column_comes_and_goes(
    link: DirectLink, database: Database
) -> None:
    run(link, f"{T}; CREATE VIEW v AS SELECT * FROM t")
    before = schema_of(database.url)
    number = migrate(link, "ALTER TABLE t ADD COLUMN c int DEFAULT 7")
    assert list(link.rows("SELECT * FROM v")[0]) == ["id", "a", "b"]
    undo(link, number)
    assert schema_of(database.url) == before
    assert seen(link, "SELECT * FROM v") == "1 a1 1"
    with pytest.raises(LinkError, match="other objects depend on it"):
        migrate(link, "ALTER TABLE t DROP COLUMN a")


def test_9_a_tool_that_compares_sees_nothing_hidden_where_it_leaves_out_our_names(
    link: DirectLink, database: Database
) -> None:
    """As `alembic revision --autogenerate` does; the filter is the documented one."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    run(link, f"{T}; CREATE TABLE o (x int)")
    engine = create_engine(database.url.replace("postgresql://", "postgresql+psycopg://"))
    migrate(link, "ALTER TABLE t DROP COLUMN a; DROP TABLE o")
    model = MetaData()
    Table("t", model, Column("id", Integer, primary_key=True), Column("b", Integer))

    def include_name(name: str | None, kind: str, parents: dict[str, str | None]) -> bool:
        return not (name or "").startswith("_bo_")

    for filtered, found in ((False, True), (True, False)):
        opts = {"include_name": include_name} if filtered else {}
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=opts)
            assert bool(compare_metadata(context, model)) is found
    engine.dispose()


def test_12_a_reader_of_the_table_that_a_foreign_key_leads_to_is_named(
    link: DirectLink, database: Database
) -> None:
    run(link, f"{T}; CREATE TABLE c (t int)")
    number = migrate(link, "ALTER TABLE c ADD FOREIGN KEY (t) REFERENCES t")
    reader = database.link()
    run(reader, "BEGIN; SELECT id FROM t")
    chosen = [one for one in journal.migrations(link) if one.id == number]
    with pytest.raises(Locked) as raised:
        back.undo(link, chosen, patience_s=0.2)
    assert [one.table for one in raised.value.holders] == ["t"]
    run(reader, "COMMIT")
    undo(link, number)


@pytest.fixture
def plain(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a database whose owner has no right but that."""
    role, password = "plain_owner", secrets.token_hex(8)
    with psycopg.connect(postgres.superuser_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
        admin.execute(f"CREATE DATABASE {role} OWNER {role}")
        yield f"postgresql://{role}:{password}@127.0.0.1:{postgres.port}/{role}"
        admin.execute(f"DROP DATABASE {role} WITH (FORCE)")
        admin.execute(f"DROP ROLE {role}")


def test_14_and_the_owner_of_the_database_needs_no_other_right(
    plain: str, typed: Callable[..., Done], tmp_path: Path
) -> None:
    """No superuser, no extension, no event trigger: all verbs, for one kind of each sort."""
    with closing(psycopg.connect(plain, autocommit=True)) as connection:
        link = DirectLink(connection)
        rights = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
        assert seen(link, f"SELECT {rights} FROM pg_roles WHERE rolname = current_user") == "f"
        for kind in map(BY_NAME.__getitem__, SOME):
            run(link, "DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public")
            run(link, kind.before)
            before = schema_of(plain)
            script = tmp_path / "up.sql"
            script.write_text(kind.up)
            psql = ("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", str(script))
            typed("migrate", "--", *psql, DATABASE_URL=plain).ended(0)
            run(link, kind.new)
            typed("db", "status", DATABASE_URL=plain).ended(0)
            typed("db", "blockers", DATABASE_URL=plain).ended(0)
            typed("db", "rollback", "--yes", DATABASE_URL=plain).ended(0)
            assert kind.residue or schema_of(plain) == before
            assert seen(link, kind.look) == kind.back
            typed("db", "redo", "--yes", DATABASE_URL=plain).ended(0)
            typed("db", "finalize", "--now", "--undone", "--yes", DATABASE_URL=plain).ended(0)
            typed("db", "uninstall", "--yes", DATABASE_URL=plain).ended(0)
        assert seen(link, "SELECT count(*) FROM pg_event_trigger") == "0"
        assert seen(link, "SELECT string_agg(extname, ' ') FROM pg_extension") == "plpgsql"


def test_15_an_index_that_could_not_be_built_concurrently_is_known_and_goes_back(
    link: DirectLink, database: Database, typed: Callable[..., Done]
) -> None:
    run(link, f"{T}; INSERT INTO t VALUES (2, 'a1', 1)")
    before = schema_of(database.url)
    unique = "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)"
    failed = typed("migrate", "--", "psql", "-c", "ALTER TABLE t ADD c int", "-c", unique).ended(1)
    assert "index public.t.i made" in failed.err and "column public.t.c made" in failed.err
    assert seen(link, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass") == "f"
    typed("db", "rollback", "--yes").ended(0)
    assert schema_of(database.url) == before


def test_20_a_second_migration_at_once_is_refused_and_runs_nothing(
    link: DirectLink, database: Database, typed: Callable[..., Done]
) -> None:
    run(link, T)
    first = database.link()
    alone(first)
    second = typed("migrate", "--", "psql", "-c", "ALTER TABLE t DROP COLUMN a")
    second.refused(3, what="Another migration runs", now="Nothing", next="backout db")
    assert seen(link, "SELECT a FROM t") == "a1"


def test_23_large_values_that_compress_to_nothing_come_back_from_the_log(link: DirectLink) -> None:
    run(link, f"{T}; ALTER TABLE t ADD big bytea; ALTER TABLE t ALTER big SET STORAGE EXTERNAL;"
        "UPDATE t SET big = (SELECT string_agg(sha256(g::text::bytea), '') FROM generate_series(1, 60000) g)")  # fmt: skip
    is_ = "SELECT length(big), md5(big) FROM t"
    before = seen(link, is_)
    number = migrate(link, "UPDATE t SET big = 'new', a = 'new'")
    undo(link, number)
    assert before.startswith("1920000 ") and seen(link, is_) == before


def test_24_a_dump_has_the_hidden_values_until_they_are_finalized(
    link: DirectLink, database: Database, typed: Callable[..., Done], postgres: EmbeddedPostgres
) -> None:
    run(link, T)
    migrate(link, "ALTER TABLE t DROP COLUMN a")
    dump = [find_programs(postgres.binaries.directory, None).path("pg_dump"), "-d", database.url]
    # As a value of a row: the journal's fingerprints are in the dump, too, and may have these letters.
    assert b"\ta1" in subprocess.run(dump, capture_output=True, check=True).stdout
    typed("db", "finalize", "--now", "--yes").ended(0)
    assert b"\ta1" not in subprocess.run(dump, capture_output=True, check=True).stdout
    assert list(rows_of(link)) == ['"public"."t"']


def test_1_what_a_write_by_position_does_unnoticed_is_told_by_migrate_and_status(
    link: DirectLink, typed: Callable[..., Done]
) -> None:
    run(link, "CREATE TABLE t (id int PRIMARY KEY, n int, a text, s serial, b int)")
    note = r"An INSERT or COPY that names no columns puts a {} into the hidden column public\.t\.{}, and"

    def told(statement: str) -> str:
        return typed("migrate", "--", "psql", "-X", "-q", "-c", statement).ended(0).err

    assert re.search(note.format("NULL", "n"), told("ALTER TABLE t DROP COLUMN n"))
    assert "names no columns" not in told("ALTER TABLE t DROP COLUMN a")
    assert re.search(note.format("value", "s"), told("ALTER TABLE t DROP COLUMN s"))
    standing = typed("db", "status").ended(0).out
    assert [name for name in "nas" if f"hidden column public.t.{name}," in standing] == ["n", "s"]
    # The last one is behind nobody, until another column comes behind it.
    assert "names no columns" not in told("ALTER TABLE t DROP COLUMN b")
    assert "names no columns" not in typed("db", "status").ended(0).out
    more = told("ALTER TABLE t ADD COLUMN c int")
    assert [name for name in "nasb" if f"hidden column public.t.{name}," in more] == ["n", "s", "b"]

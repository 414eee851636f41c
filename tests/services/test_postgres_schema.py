"""The schema that backout reads is what an application can notice: no more, no less, always the same text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backout.schema import Column, Schema

pytestmark = pytest.mark.slow

EVERYTHING = (
    "CREATE SCHEMA app",
    "CREATE TYPE app.mood AS ENUM ('sad', 'ok', 'happy')",
    "CREATE DOMAIN app.positive AS int NOT NULL DEFAULT 1 CONSTRAINT above_zero CHECK (VALUE > 0)",
    "CREATE TYPE app.pair AS (a int, b text)",
    "CREATE TYPE app.span AS RANGE (subtype = float8)",
    "CREATE SEQUENCE app.numbers AS int INCREMENT 5 CYCLE",
    "CREATE FUNCTION app.double(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x * 2'",
    "CREATE PROCEDURE app.act() LANGUAGE sql AS 'SELECT 1'",
    "CREATE AGGREGATE app.total(int) (sfunc = int4pl, stype = int)",
    "CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    """CREATE TABLE app.parent (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name varchar(20) COLLATE "C" NOT NULL DEFAULT 'x',
        state app.mood, twice int GENERATED ALWAYS AS (size * 2) STORED, size int UNIQUE CHECK (size > 0))""",
    "CREATE TABLE child (id serial, parent bigint REFERENCES app.parent (id), at timestamptz DEFAULT now())",
    "ALTER TABLE child ADD CONSTRAINT later CHECK (id > 0) NOT VALID",
    "CREATE INDEX child_at ON child (at DESC) WHERE id > 5",
    "CREATE TRIGGER touched BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION app.touch()",
    "CREATE TRIGGER off BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION app.touch()",
    "ALTER TABLE child DISABLE TRIGGER off",
    "CREATE RULE quiet AS ON DELETE TO child DO INSTEAD NOTHING",
    "ALTER TABLE child ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE child FORCE ROW LEVEL SECURITY",
    "CREATE POLICY mine ON child FOR SELECT USING (id > 1)",
    "CREATE VIEW app.seen WITH (security_barrier) AS SELECT id, app.double(size) AS d FROM app.parent",
    "CREATE MATERIALIZED VIEW app.kept AS SELECT count(*) AS n FROM child",
    "CREATE TABLE measured (at date, v int) PARTITION BY RANGE (at)",
    "CREATE TABLE measured_2025 PARTITION OF measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
)


def read(database: Any, directory: Path, **options: Any) -> Schema:
    schema = database.adapter(directory, **options).schema(10)
    assert isinstance(schema, Schema)
    return schema


def test_every_kind_of_object_is_read(database: Any, tmp_path: Path) -> None:
    database.run(*EVERYTHING)
    schema = read(database, tmp_path)
    parent, child = schema.tables["app.parent"], schema.tables["public.child"]
    assert parent.columns["id"] == Column(type="bigint", nullable=False, identity="ALWAYS")
    assert parent.columns["name"] == Column(
        type="character varying(20)", nullable=False, default="'x'::character varying", collation='"C"'
    )
    assert parent.columns["state"].type == "app.mood"
    assert parent.columns["twice"].generated == "(size * 2) STORED"
    assert parent.columns["twice"].default is None
    assert parent.constraints["parent_pkey"] == "PRIMARY KEY (id)"
    assert parent.indexes == {}, "indexes that back a constraint are its own"
    assert child.constraints == {
        "child_parent_fkey": "FOREIGN KEY (parent) REFERENCES app.parent(id)",
        "later": "CHECK ((id > 0)) NOT VALID",
    }
    assert child.columns["id"].default == "nextval('public.child_id_seq'::regclass)"
    assert list(child.indexes) == ["child_at"]
    assert child.triggers["off"].endswith(" DISABLED")
    assert "app.touch()" in child.triggers["touched"]
    assert "DO INSTEAD NOTHING" in child.triggers["rule quiet"]
    assert child.policies == {"": "ENABLE FORCE", "mine": "PERMISSIVE SELECT TO PUBLIC USING ((id > 1))"}
    assert {t: schema.tables[t].kind for t in schema.tables} == {
        "app.kept": "materialized view",
        "app.parent": "table",
        "app.seen": "view",
        "public.child": "table",
        "public.measured": "partitioned",
        "public.measured_2025": "table",
    }
    assert (schema.tables["app.seen"].definition or "").startswith("WITH (security_barrier=true) ")
    assert schema.tables["public.measured"].definition == "PARTITION BY RANGE (at)"
    assert "FOR VALUES FROM" in (schema.tables["public.measured_2025"].definition or "")
    functions = {k for k in schema.objects if k.startswith(("function", "procedure", "aggregate"))}
    assert functions >= {
        "function app.double(x integer)",
        "function app.touch()",
        "procedure app.act()",
        "aggregate app.total(integer)",
    }
    assert len([k for k in functions if "span" not in k and "multirange" not in k]) == 4
    assert all(schema.objects[k].startswith("sha256:") for k in functions)
    assert schema.objects["enum app.mood"] == "'sad', 'ok', 'happy'"
    assert schema.objects["domain app.positive"] == (
        "integer NOT NULL DEFAULT 1 CONSTRAINT above_zero CHECK ((VALUE > 0))"
    )
    assert schema.objects["type app.pair"] == "a integer, b text"
    assert schema.objects["range app.span"] == "double precision"
    assert schema.objects["sequence app.numbers"].endswith("CYCLE")
    assert "extension plpgsql" in schema.objects


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE app.parent ADD COLUMN more int",
        "ALTER TABLE app.parent ALTER name DROP NOT NULL",
        "ALTER TABLE app.parent ALTER name SET DEFAULT 'y'",
        "ALTER TABLE app.parent ALTER name TYPE text",
        "ALTER TABLE child VALIDATE CONSTRAINT later",
        "DROP INDEX child_at",
        "ALTER TABLE child ENABLE TRIGGER off",
        "ALTER TABLE child NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY mine ON child",
        "ALTER TYPE app.mood ADD VALUE 'angry' BEFORE 'sad'",
        "ALTER DOMAIN app.positive DROP DEFAULT",
        "ALTER TYPE app.pair ADD ATTRIBUTE c int",
        "ALTER SEQUENCE app.numbers INCREMENT 7",
        "CREATE OR REPLACE FUNCTION app.double(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x + x'",
        "DROP AGGREGATE app.total(int)",
        "CREATE OR REPLACE VIEW app.seen WITH (security_barrier) AS SELECT id, size + 1 AS d FROM app.parent",
        "CREATE TABLE another (id int)",
        "DROP RULE quiet ON child",
    ],
)
def test_a_change_that_an_application_notices_changes_the_fingerprint(
    database: Any, tmp_path: Path, change: str
) -> None:
    database.run(*EVERYTHING)
    before = read(database, tmp_path).fingerprint
    assert read(database, tmp_path).fingerprint == before
    database.run(change)
    assert read(database, tmp_path).fingerprint != before


@pytest.mark.parametrize(
    "change",
    [
        "SELECT nextval('app.numbers')",
        "INSERT INTO app.parent (name, size) VALUES ('a', 1)",
        "ANALYZE",
        "CREATE TEMP TABLE gone (id int)",
        "ALTER TABLE child ALTER at SET STATISTICS 500",
        "ALTER TABLE child SET (fillfactor = 70)",
        "COMMENT ON TABLE child IS 'words'",
        "CREATE SCHEMA backout CREATE TABLE journal (id int)",
        "CLUSTER app.parent USING parent_pkey",
        "ALTER TABLE child ADD _bo_7 int CONSTRAINT _bo_7_c CHECK (_bo_7 > 0)",
        "CREATE INDEX _bo_8 ON child (at)",
        "CREATE TRIGGER _bo_9 BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION app.touch()",
        "CREATE SCHEMA backout_hidden CREATE TABLE old (id serial)",
    ],
)
def test_what_no_application_notices_leaves_it(database: Any, tmp_path: Path, change: str) -> None:
    database.run(*EVERYTHING)
    before = read(database, tmp_path)
    database.run(change)
    assert read(database, tmp_path) == before


def test_order_of_columns_and_how_they_came_do_not_count(make_database: Any, tmp_path: Path) -> None:
    one, two = make_database(), make_database()
    one.run("CREATE TABLE t (a int, b text, c date)")
    two.run("CREATE TABLE t (c date, x int, b text)", "ALTER TABLE t DROP x", "ALTER TABLE t ADD a int")
    assert read(one, tmp_path) == read(two, tmp_path)


def test_the_roles_search_path_does_not_change_the_text(database: Any, tmp_path: Path) -> None:
    database.run(*EVERYTHING)
    before = read(database, tmp_path)
    database.run(f"ALTER ROLE {database.role} SET search_path = app, public", "CREATE TABLE x ()")
    database.run("DROP TABLE x")
    assert read(database, tmp_path) == before


def test_extensions_count_by_version_and_their_objects_do_not(database: Any, tmp_path: Path) -> None:
    bare = read(database, tmp_path)
    with database.admin() as admin:
        admin.execute("CREATE EXTENSION pg_trgm")
        admin.execute("CREATE FUNCTION public.audit() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'")
        admin.execute("CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.audit()")
    schema = read(database, tmp_path)
    assert set(schema.objects) - set(bare.objects) == {
        "extension pg_trgm",
        "event trigger watch",
        "function public.audit()",
    }


def test_only_the_schemas_asked_for(database: Any, tmp_path: Path) -> None:
    database.run(*EVERYTHING)
    assert set(read(database, tmp_path, schemas=("public",)).tables) == {
        "public.child",
        "public.measured",
        "public.measured_2025",
    }


def test_two_hundred_tables_that_refer_to_each_other_are_read_whole(database: Any, tmp_path: Path) -> None:
    columns = ", ".join(f"c{i} int DEFAULT {i}" for i in range(10))
    database.run(
        "DO $$ BEGIN FOR i IN 1..200 LOOP EXECUTE format("
        f"'CREATE TABLE t%s (id serial PRIMARY KEY, {columns}, p int REFERENCES t%s)', i,"
        " greatest(i - 1, 1));"
        " EXECUTE format('CREATE INDEX ON t%s (c1)', i); END LOOP; END $$"
    )
    schema = database.adapter(tmp_path).schema(10)
    assert len(schema.tables) == 200
    assert len(schema.tables["public.t7"].columns) == 12


def test_every_row_comes_from_one_snapshot(database: Any, tmp_path: Path) -> None:
    """A migration that commits while the schema is read shows as a whole or not at all."""
    import threading

    database.run("CREATE TABLE a (in_a int)")
    stop = threading.Event()

    def migrate() -> None:
        with database.connect(autocommit=False) as connection:
            while not stop.is_set():
                for old, new in (("a", "b"), ("b", "a")):
                    connection.execute(f"ALTER TABLE {old} RENAME TO {new}")
                    connection.execute(f"ALTER TABLE {new} RENAME COLUMN in_{old} TO in_{new}")
                    connection.commit()

    thread = threading.Thread(target=migrate)
    thread.start()
    try:
        adapter = database.adapter(tmp_path)
        seen = set()
        for _ in range(40):
            schema = adapter.schema(10)
            ((name, table),) = schema.tables.items()
            seen.add((name, *table.columns))
    finally:
        stop.set()
        thread.join()
    assert seen <= {("public.a", "in_a"), ("public.b", "in_b")}

"""Chosen tables of the live database are made equal to a restored one: any changes, in any order that keys demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from backout.backup import TableDifference
from backout.databases.postgres.connect import Connector
from backout.databases.postgres.rows.equal import compare_tables, restore_tables
from backout.databases.postgres.rows.fit import unfit_tables
from backout.errors import LossAboveCeiling, NotPossible, TargetUnreachable, UsageError
from backout.redact import Redactor

pytestmark = pytest.mark.slow

SHOP = (
    "CREATE TABLE tenants (id int PRIMARY KEY, name text UNIQUE)",
    "CREATE TABLE orders (id serial PRIMARY KEY, tenant int REFERENCES tenants, parent int REFERENCES orders, v text)",
    "CREATE TABLE untouched (id int PRIMARY KEY)",
)
BOTH_TABLES = ("public.orders", "public.tenants")


@dataclass
class Pair:
    """The live database, and the one that the backup was restored into."""

    restored: Any
    live: Any

    def connector(self) -> Connector:
        return Connector(
            self.live.url, Redactor(), lock_timeout_s=1, statement_timeout_s=20, connect_timeout_s=5
        )

    def run(self, *statements: str) -> None:
        """Run in both."""
        self.restored.run(*statements)
        self.live.run(*statements)

    def make_equal(self, *tables: str, max_deleted: int | None = None) -> dict[str, TableDifference]:
        found = restore_tables(
            self.connector(), self.restored.name, tables, schemas=None, max_deleted=max_deleted, note=quiet
        )
        return {d.table: d for d in found}

    def compare(self, *tables: str) -> dict[str, tuple[int, int, int]]:
        found = compare_tables(self.connector(), self.restored.name, tables, schemas=None, note=quiet)
        return {d.table: (d.inserted, d.updated, d.deleted) for d in found}

    def unfit(self, *tables: str) -> list[str]:
        return [str(m) for m in unfit_tables(self.connector(), tables, None)]

    def rows(self, query: str, database: Any = None) -> list[tuple[Any, ...]]:
        with (database or self.live).connect() as connection:
            found: list[tuple[Any, ...]] = connection.execute(query).fetchall()
            return found

    def equal(self, table: str) -> bool:
        query = f"SELECT t::text FROM {table} t ORDER BY 1"
        return self.rows(query) == self.rows(query, self.restored)


def quiet(_: object) -> None:
    """Nobody watches."""


@pytest.fixture
def pair(make_database: Callable[[], Any]) -> Iterator[Pair]:
    restored, live = make_database(), make_database()
    with restored.server.admin() as admin:
        admin.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                sql.Identifier(restored.name), sql.Identifier(live.role)
            )
        )
    made = Pair(type(restored)(restored.server, restored.name, live.role), live)
    yield made
    for connection in [*made.restored.opened, *live.opened]:
        connection.close()


_ROWS = st.dictionaries(st.integers(0, 9), st.sampled_from([None, "", "a", 'ä\n,"(', "\\", "%"]), max_size=8)


@given(backup=_ROWS, live=_ROWS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_changed_the_table_becomes_equal_and_a_second_time_writes_nothing(
    pair: Pair, backup: dict[int, str | None], live: dict[int, str | None]
) -> None:
    pair.run('DROP TABLE IF EXISTS "t %"', 'CREATE TABLE "t %" (id text, n int, v text, PRIMARY KEY (id, n))')
    for database, rows in ((pair.restored, backup), (pair.live, live)):
        with database.connect() as connection:
            for n, v in rows.items():
                connection.execute('INSERT INTO "t %%" VALUES (%s, %s, %s)', (f"k'{n % 3}", n, v))
    wanted = (
        len(backup.keys() - live.keys()),
        sum(backup[n] != live[n] for n in backup.keys() & live.keys()),
        len(live.keys() - backup.keys()),
    )
    assert pair.compare("public.t %") == {"public.t %": wanted}
    told = pair.make_equal("public.t %")["public.t %"]
    assert (told.inserted, told.updated, told.deleted) == wanted
    assert pair.equal('"t %"')
    before = pair.rows('SELECT ctid::text, xmin::text FROM "t %" ORDER BY 1')
    pair.make_equal("public.t %")
    assert pair.rows('SELECT ctid::text, xmin::text FROM "t %" ORDER BY 1') == before


def test_parents_and_children_change_in_the_order_that_they_need(pair: Pair) -> None:
    pair.run(*SHOP)
    pair.restored.run(
        "INSERT INTO tenants VALUES (1, 'acme'), (2, 'bolt')",
        "INSERT INTO orders (id, tenant, parent, v) VALUES (9, 1, NULL, 'a'), (3, 2, 9, 'b'), (1, 2, 3, 'c')",
        "INSERT INTO untouched VALUES (1)",
    )
    pair.live.run(
        # 7 has the name that 2 needs; 5 is referred to by a row that stays and changes.
        "INSERT INTO tenants VALUES (1, 'acme'), (5, 'gone'), (7, 'bolt')",
        "INSERT INTO orders (id, tenant, parent, v) VALUES (20, 5, NULL, 'x'), (3, 5, 20, 'y'), (30, 7, 3, 'z')",
        "INSERT INTO untouched VALUES (5)",
    )
    told = pair.make_equal(*BOTH_TABLES)
    assert list(told) == ["public.tenants", "public.orders"]
    assert pair.equal("tenants") and pair.equal("orders")
    assert pair.rows("SELECT id FROM untouched") == [(5,)]


def test_keys_that_stand_against_each_other_are_refused_and_nothing_is_changed(pair: Pair) -> None:
    pair.run(*SHOP)
    pair.restored.run("INSERT INTO tenants VALUES (1, 'a'), (2, 'b')")
    pair.live.run("INSERT INTO tenants VALUES (1, 'b'), (2, 'a'), (3, 'c')")
    with pytest.raises(NotPossible, match=r"public\.tenants id=1 \(update\): duplicate key") as refused:
        pair.make_equal("public.tenants")
    assert "Nothing was changed" in str(refused.value.state)
    assert pair.rows("SELECT id, name FROM tenants ORDER BY 1") == [(1, "b"), (2, "a"), (3, "c")]
    deferrable = "ALTER TABLE tenants DROP CONSTRAINT tenants_name_key, ADD UNIQUE (name) DEFERRABLE"
    pair.run(deferrable)
    pair.make_equal("public.tenants")
    assert pair.equal("tenants")


def test_a_row_that_another_table_needs_keeps_everything_as_it_was(pair: Pair) -> None:
    pair.run(*SHOP)
    pair.live.run("INSERT INTO tenants VALUES (1, 'a'), (2, 'b')", "INSERT INTO orders (tenant) VALUES (2)")
    pair.restored.run("INSERT INTO tenants VALUES (9, 'z')")
    with pytest.raises(NotPossible, match=r"id=2 \(delete\).*orders"):
        pair.make_equal("public.tenants")
    assert pair.rows("SELECT id FROM tenants ORDER BY 1") == [(1,), (2,)]


@pytest.mark.parametrize(
    ("statements", "table", "reason"),
    [
        (("CREATE TABLE t (v text)",), "public.t", "has no key"),
        (("CREATE TABLE t (v text UNIQUE)",), "public.t", "has no key"),
        (
            (
                "CREATE TABLE t (id int PRIMARY KEY)",
                "CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE)",
            ),
            "public.t",
            r"public\.child would be changed too, by its constraint child_t_fkey",
        ),
        (
            (
                "CREATE TABLE t (id int PRIMARY KEY)",
                "CREATE RULE keep AS ON DELETE TO t DO INSTEAD NOTHING",
            ),
            "public.t",
            "has rules that change what is written: keep",
        ),
    ],
)
def test_what_cannot_go_back_alone_says_why_before_anything_is_restored(
    pair: Pair, statements: tuple[str, ...], table: str, reason: str
) -> None:
    import re

    pair.run(*statements)
    (told,) = pair.unfit(table)
    assert re.search(reason, told)
    with pytest.raises(NotPossible, match=reason):
        pair.compare(table)
    with pytest.raises(NotPossible, match=reason):
        pair.make_equal(table)


def test_a_cascade_to_a_table_that_is_named_too_is_no_reason(pair: Pair) -> None:
    pair.run(
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE)",
    )
    pair.restored.run("INSERT INTO t VALUES (1)", "INSERT INTO child VALUES (1, 1)")
    pair.live.run("INSERT INTO t VALUES (2)", "INSERT INTO child VALUES (2, 2)")
    assert pair.unfit("public.t", "public.child") == []
    pair.make_equal("public.child", "public.t")
    assert pair.equal("t") and pair.equal("child")


def test_a_table_that_is_not_there_is_named_with_near_ones(pair: Pair) -> None:
    pair.run(*SHOP)
    assert "There is no table public.order. Near: public.orders" in pair.unfit("public.order")[0]
    with pytest.raises(UsageError, match=r"public\.order\b"):
        pair.make_equal("public.order")


def test_more_than_was_approved_is_not_removed(pair: Pair) -> None:
    pair.run(*SHOP)
    pair.live.run("INSERT INTO tenants SELECT g, g::text FROM generate_series(1, 5) g")
    with pytest.raises(LossAboveCeiling, match="5 rows would be removed, and 4 were approved"):
        pair.make_equal("public.tenants", max_deleted=4)
    assert pair.rows("SELECT count(*) FROM tenants") == [(5,)]
    pair.make_equal("public.tenants", max_deleted=5)
    assert pair.rows("SELECT count(*) FROM tenants") == [(0,)]


def test_triggers_of_the_table_do_not_run_and_are_put_back(pair: Pair) -> None:
    pair.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "CREATE TABLE audit (what text)",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (TG_OP);"
        " RETURN NULL; END $$",
        "CREATE TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note()",
        "ALTER TABLE t ENABLE ALWAYS TRIGGER audited",
    )
    pair.restored.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    pair.live.run("INSERT INTO t VALUES (2, 'x'), (3, 'y')", "TRUNCATE audit")
    pair.make_equal("public.t")
    assert pair.equal("t") and pair.rows("SELECT * FROM audit") == []
    assert pair.rows("SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'audited'") == [("A",)]


@pytest.mark.parametrize(("here", "there", "next_one"), [(50, 10, 51), (10, 50, 51)])
def test_a_sequence_goes_to_the_larger_of_both_values(
    pair: Pair, here: int, there: int, next_one: int
) -> None:
    pair.run(*SHOP)
    pair.live.run(f"SELECT setval('orders_id_seq', {here})")
    pair.restored.run(f"SELECT setval('orders_id_seq', {there})", "INSERT INTO orders (id) VALUES (3)")
    pair.make_equal("public.orders")
    assert pair.rows("SELECT nextval('orders_id_seq')") == [(next_one,)]


def test_partitions_identity_and_generated_columns_come_back(pair: Pair) -> None:
    pair.run(
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, day date, v text, up text GENERATED ALWAYS AS (upper(v)) STORED,"
        " PRIMARY KEY (id, day)) PARTITION BY RANGE (day)"
        if _identity_in_partitions(pair)
        else "CREATE TABLE t (id int, day date, v text, up text GENERATED ALWAYS AS (upper(v)) STORED,"
        " PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
    )
    insert = "INSERT INTO t (id, day, v) OVERRIDING SYSTEM VALUE VALUES "
    pair.restored.run(insert + "(1, '2026-01-05', 'a'), (2, '2026-02-05', 'b')")
    pair.live.run(insert + "(2, '2026-02-05', 'x'), (3, '2026-01-06', 'c')")
    pair.make_equal("public.t")
    assert pair.equal("t")


def _identity_in_partitions(pair: Pair) -> bool:
    return int(pair.rows("SELECT current_setting('server_version_num')::int")[0][0]) >= 170000


def test_who_still_writes_keeps_it_from_beginning(pair: Pair) -> None:
    pair.run(*SHOP)
    with pair.live.connect(autocommit=False) as writer:
        writer.execute("INSERT INTO tenants VALUES (1, 'a')")
        with pytest.raises(TargetUnreachable):
            pair.make_equal("public.tenants")
        writer.commit()
    pair.make_equal("public.tenants")
    assert pair.rows("SELECT * FROM tenants") == []

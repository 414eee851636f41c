"""What was written since the backup: a person sees it, brings it over, and reads what did not come."""

import re
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from backout.databases.postgres.beside import Mark, comment_of

pytestmark = pytest.mark.slow
KEPT = "collector_before_20260101_000000"
TABLE = "CREATE TABLE orders (id int PRIMARY KEY, tenant text, total int UNIQUE)"


@pytest.fixture
def kept(scene):
    """A database that was swapped out, with three orders that the live one does not have."""
    url = scene.stage.database_url
    with psycopg.connect(url, autocommit=True) as live:
        live.execute(TABLE)
        live.execute("INSERT INTO orders VALUES (1, 'acme', 10), (9, 'other', 40)")
        swap = live.execute("SELECT pg_current_xact_id()::text::bigint, current_database()").fetchone()
        live.execute(f"CREATE DATABASE {KEPT}")
        mark = Mark(state="kept", live=swap[1], since=datetime.now(UTC), swap_xid=swap[0])
        live.execute(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(
                sql.Identifier(KEPT), sql.Literal(comment_of(mark))
            )
        )
    with psycopg.connect(url, dbname=KEPT, autocommit=True) as other:
        other.execute(TABLE)
        other.execute(
            "INSERT INTO orders VALUES (1, 'acme', 10), (2, 'acme', 20), (3, 'bolt', 30), (4, 'acme', 40)"
        )
    yield KEPT
    with psycopg.connect(url, autocommit=True) as live:
        live.execute("DROP TABLE orders")
        live.execute(f"DROP DATABASE {KEPT} WITH (FORCE)")


def orders(scene):
    return [row[0] for row in scene.execute("SELECT id FROM orders ORDER BY id")]


def events(scene):
    from backout import Backout

    with Backout.from_config(scene.cli.directory / "backout.yaml", scene.cli.environ) as backout:
        return backout.parts.journal.events(kinds=("data.bringing", "data.brought"))


def test_rows_are_listed_and_brought_by_choice(scene, kept):
    told = scene.cli("data", "diff", "--table", "orders").ended(0)
    assert "public.orders  3         0        1        0" in told.out
    assert "id=2; id=3; id=4" in told.out
    assert "backout data bring public.orders --dry-run" in told.err
    dry = scene.cli("data", "bring", "orders", "--dry-run").ended(4)
    assert "2 rows come" in dry.out and "nothing was changed" in dry.out
    assert "id=4: duplicate key value" in dry.err and "(total)=(40)" in dry.err
    assert orders(scene) == [1, 9] and events(scene) == []
    scene.cli("data", "bring", "orders").refused(
        4,
        what="Nobody can be asked here: public.orders: 2 rows come",
        now="Nothing was changed",
        next="data bring orders --yes",
    )
    some = scene.cli("data", "bring", "orders", "--where", "tenant = 'bolt'", "--yes", "--json").ended(0).json
    assert (some["inserted"], some["conflicts"]) == (1, [])
    rest = scene.cli("data", "bring", "orders", "--yes").ended(4)
    assert "1 rows came" in rest.out and "1 were in conflict" in rest.out
    assert "next   backout data diff --table public.orders   # what did not come is still kept" in rest.err
    assert orders(scene) == [1, 2, 3, 9]
    assert [e.kind for e in events(scene)] == ["data.bringing", "data.brought"] * 2
    assert events(scene)[1].body["where"] == "tenant = 'bolt'"
    assert scene.cli("data", "diff", "--json").ended(0).json["kept"] == kept


@pytest.fixture
def lines(scene, kept):
    """Lines of the orders: the kept database has one of each of its orders, the live one has none."""
    table = "CREATE TABLE lines (id int PRIMARY KEY, of_order int NOT NULL REFERENCES orders)"
    for name in (kept, None):
        with psycopg.connect(
            scene.stage.database_url, autocommit=True, **({"dbname": name} if name else {})
        ) as there:
            there.execute(table)
            if name:
                there.execute("INSERT INTO lines SELECT 10 * id, id FROM orders")
    yield
    scene.execute("DROP TABLE lines")


def test_tables_that_refer_to_each_other_come_together(scene, kept, lines):
    words = ("data", "bring", "lines", "orders")
    dry = scene.cli(*words, "--dry-run").ended(4)
    assert "conflict: public.orders id=4: duplicate key value" in dry.err
    assert re.search('conflict: public.lines id=40: .* "lines_of_order_fkey"', dry.err)
    assert dry.out.index("public.orders: 2 rows come") < dry.out.index("public.lines: 3 rows come")
    asked = scene.cli(*words)
    asked.refused(
        4,
        what="Nobody can be asked here: 2 tables: 5 rows come.*2 are in conflict",
        now="Nothing was changed",
        next="data bring lines orders --yes",
    )
    assert "public.lines: 3 rows come" in asked.err and "conflict: public.lines id=40" in asked.err
    assert orders(scene) == [1, 9] and events(scene) == []
    scene.cli(*words, "--where", "id = 1", "--yes").refused(
        2,
        what="one table; public.orders, public.lines are several",
        now="Nothing",
        next="data bring public.orders --where",
    )
    scene.cli("data", "bring", "orders", "nope", "--yes").refused(
        2, what="no table nope", now="Nothing was changed", next="data diff"
    )
    assert orders(scene) == [1, 9]
    done = scene.cli(*words, "--yes", "--json").ended(4).json
    assert [(t["table"], t["inserted"]) for t in done["tables"]] == [
        ("public.orders", 2),
        ("public.lines", 3),
    ]
    assert orders(scene) == [1, 2, 3, 9]
    assert [(e.kind, e.body["table"]) for e in events(scene)[-4:]] == [
        ("data.bringing", "lines"), ("data.bringing", "orders"),
        ("data.brought", "public.orders"), ("data.brought", "public.lines"),
    ]  # fmt: skip


def test_what_is_wrong_is_said_with_the_next_command(scene, kept):
    scene.cli("data", "diff", "nope").refused(
        2, what="no kept database nope.*" + KEPT, now="Nothing", next="backup list"
    )
    scene.cli("data", "diff", "-t", "order").refused(
        2, what="no table order.*public.orders", now="Nothing", next="data diff"
    )
    scene.cli("data", "bring", "orders", "--where", "id ==", "--yes").refused(
        2, what="--where is wrong: syntax error", now="Nothing was changed", next="data diff"
    )
    assert orders(scene) == [1, 9]


def test_without_a_kept_database(scene):
    scene.cli("data", "diff").refused(2, what="swapped out and kept", now="Nothing", next="backup list")

"""What was written since the backup: a person sees it, brings it over, and reads what did not come."""

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
    assert orders(scene) == [1, 2, 3, 9]
    assert [e.kind for e in events(scene)] == ["data.bringing", "data.brought"] * 2
    assert events(scene)[1].body["where"] == "tenant = 'bolt'"
    assert scene.cli("data", "diff", "--json").ended(0).json["kept"] == kept


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

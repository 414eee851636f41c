"""Real clients work through the proxy, each by its own way of talking."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import asyncpg
import psycopg
import psycopg2
import psycopg2.extras
import pytest
from psycopg import errors
from tests.services.reversible.recording import Recorded

from backout.databases.postgres.reversible.proxy.server import Proxy

pytestmark = pytest.mark.slow

Connect = Callable[..., psycopg.Connection[Any]]


@pytest.fixture
def address(proxy: Proxy, url: str) -> str:
    with psycopg.connect(url, autocommit=True) as direct:
        direct.execute("CREATE TABLE t (id int PRIMARY KEY, name text, raw bytea)")
    return proxy.environment()["DATABASE_URL"]


def whole(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as direct:
        return direct.execute("SELECT id, name FROM t ORDER BY id").fetchall()


def test_psql(address: str, url: str, psql: Any, told: Recorded) -> None:
    done = psql(
        "INSERT INTO t VALUES (1, 'one');\n\\copy t (id, name) FROM STDIN\n2\ttwo\n3\t\\N\n\\.\n"
        "UPDATE t SET name = 'eins' WHERE id = 1 RETURNING name;\n\\copy t (id, name) TO STDOUT\n"
        "SELECT 1 \\; DELETE FROM t WHERE id = 3 \\; SELECT 2;\n\\d t\n",
        "-At", "-v", "ON_ERROR_STOP=1",
    )  # fmt: skip
    assert done.stderr == "" and done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[:10] == [
        *("INSERT 0 1", "COPY 2", "eins", "UPDATE 1", "2\ttwo", "3\t\\N", "1\teins"),
        *("1", "DELETE 1", "2"),
    ]
    assert whole(url) == [(1, "eins"), (2, "two")]


def test_psql_in_one_transaction(address: str, url: str, psql: Any, told: Recorded) -> None:
    script = "INSERT INTO t VALUES (1);\nINSERT INTO t VALUES (2);\nSELECT 1/0;\n"
    done = psql(script, "-1", "-v", "ON_ERROR_STOP=1", "-q", "-f", "-")
    assert done.returncode == 3 and "division by zero" in done.stderr
    assert whole(url) == [] and told.calls[-1] == "ended committed=False"
    assert psql(script.replace("/0", ""), "-1", "-q", "-f", "-").returncode == 0
    assert whole(url) == [(1, None), (2, None)]


@pytest.mark.parametrize("prepare", [None, False, True])
def test_psycopg_statements(address: str, url: str, connect: Connect, prepare: bool | None) -> None:
    connection = connect(autocommit=False)
    with connection.transaction():
        for n in range(10):
            found = connection.execute(
                "INSERT INTO t VALUES (%s, %s) RETURNING id", (n, str(n)), prepare=prepare
            )
            assert found.fetchone() == (n,) and found.rowcount == 1 and found.statusmessage == "INSERT 0 1"
        with pytest.raises(errors.UniqueViolation), connection.transaction():
            connection.execute("INSERT INTO t VALUES (1)")
        with connection.transaction() as nested:
            connection.execute("DELETE FROM t")
            raise psycopg.Rollback(nested)
    connection.execute("INSERT INTO t VALUES (99)")
    connection.rollback()
    assert [row[0] for row in whole(url)] == list(range(10))


def test_psycopg_pipeline_with_an_error_in_the_middle(address: str, url: str, connect: Connect) -> None:
    connection = connect()
    with pytest.raises(errors.UniqueViolation), connection.pipeline() as pipeline:
        connection.execute("INSERT INTO t VALUES (1)")
        pipeline.sync()
        connection.execute("INSERT INTO t VALUES (2)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("INSERT INTO t VALUES (3)")
        pipeline.sync()
    connection.execute("INSERT INTO t VALUES (4)")
    assert whole(url) == [(1, None), (4, None)]


def test_psycopg_copies_both_ways_byte_by_byte(address: str, url: str, connect: Connect) -> None:
    connection = connect()
    raw = bytes(range(256)) * 300
    with connection.cursor().copy("COPY t FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4", "text", "bytea"])
        for n in range(100):
            copy.write_row((n, "é\t\n\\", raw))
    with connection.cursor().copy("COPY t TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(["int4", "text", "bytea"])
        assert list(copy.rows()) == [(n, "é\t\n\\", raw) for n in range(100)]
    with pytest.raises(KeyError), connection.cursor().copy("COPY t (id) FROM STDIN") as copy:
        copy.write_row((1000,))
        raise KeyError
    with pytest.raises(errors.UniqueViolation), connection.cursor().copy("COPY t (id) FROM STDIN") as copy:
        for n in range(20_000):
            copy.write_row((n + 50,))
    assert len(whole(url)) == 100


def test_psycopg_cursors_and_notices(address: str, connect: Connect) -> None:
    connection = connect(autocommit=False)
    heard: list[str] = []
    connection.add_notice_handler(lambda told: heard.append(told.message_primary or ""))
    with connection.cursor("named") as cursor:
        cursor.execute("SELECT generate_series(1, 1000)")
        assert sum(row[0] for row in cursor) == 500500
    connection.execute("DO $$ BEGIN RAISE NOTICE 'heard'; END $$")
    connection.execute("DROP TABLE IF EXISTS nope")
    connection.commit()
    assert heard == ["heard", 'table "nope" does not exist, skipping']


def test_psycopg2(address: str, url: str) -> None:
    connection = psycopg2.connect(address)
    try:
        with connection, connection.cursor() as cursor:
            psycopg2.extras.execute_values(
                cursor, "INSERT INTO t (id, name) VALUES %s", [(n, str(n)) for n in range(250)]
            )
            cursor.copy_expert("COPY t (id, name) FROM STDIN", io.StringIO("1000\tcopied\n"))
            cursor.execute("SELECT count(*) FROM t")
            assert cursor.fetchone() == (251,)
        with pytest.raises(psycopg2.errors.UniqueViolation), connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM t; INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM t")
            out = io.StringIO()
            cursor.copy_expert("COPY (SELECT id FROM t WHERE id > 248 ORDER BY id) TO STDOUT", out)
        assert out.getvalue() == "249\n1000\n"
    finally:
        connection.close()
    assert len(whole(url)) == 251


def test_asyncpg(address: str, url: str) -> None:
    async def talk() -> None:
        connection = await asyncpg.connect(address)
        try:
            await connection.execute("INSERT INTO t VALUES (1, 'one'); INSERT INTO t VALUES (2, 'two')")
            assert await connection.execute("INSERT INTO t VALUES ($1, $2)", 3, "three") == "INSERT 0 1"
            await connection.executemany(
                "INSERT INTO t VALUES ($1, $2)", [(n, str(n)) for n in range(4, 104)]
            )
            with pytest.raises(asyncpg.UniqueViolationError):
                await connection.executemany("INSERT INTO t VALUES ($1)", [(200,), (1,)])
            async with connection.transaction(isolation="serializable"):
                await connection.execute("DELETE FROM t WHERE id > 3")
                seen = [
                    row["id"] async for row in connection.cursor("SELECT id FROM t ORDER BY id", prefetch=2)
                ]
                assert seen == [1, 2, 3]
            copied = [(300, "c", b"\x00\xff"), (301, None, None)]
            assert await connection.copy_records_to_table("t", records=copied) == "COPY 2"
            out = io.BytesIO()
            await connection.copy_from_query("SELECT id FROM t ORDER BY id", output=out)
            assert out.getvalue() == b"1\n2\n3\n300\n301\n"
            prepared = await connection.prepare("SELECT name FROM t WHERE id = $1")
            assert [await prepared.fetchval(n) for n in (1, 2)] == ["one", "two"]
            heard: asyncio.Queue[str] = asyncio.Queue()
            await connection.add_listener("c", lambda *told: heard.put_nowait(told[3]))
            await connection.execute("NOTIFY c, 'heard'")
            assert await asyncio.wait_for(heard.get(), 10) == "heard"
            with pytest.raises(asyncio.TimeoutError):
                await connection.execute("SELECT pg_sleep(60)", timeout=0.2)
            assert await connection.fetchval("SELECT 1") == 1
            await connection.reset()
        finally:
            await connection.close(timeout=10)

    asyncio.run(talk())
    assert [row[0] for row in whole(url)] == [1, 2, 3, 300, 301]


def test_clients_by_their_own_statements_are_asked_about(address: str, told: Recorded) -> None:
    async def talk() -> None:
        connection = await asyncpg.connect(address)
        await connection.execute("INSERT INTO t VALUES ($1)", 1)
        await connection.close(timeout=10)

    asyncio.run(talk())
    assert told.calls == [
        *("begins", "statement INSERT INTO t VALUES ($1)", "ran INSERT INTO t VALUES ($1)"),
        *("before_commit", "ended committed=True"),
    ]

"""Whatever a client says, it hears through the proxy what it hears from the plain server, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import psycopg
import pytest
from tests.services.reversible.conftest import proxied
from tests.services.reversible.raw import (
    COPY_DONE,
    FLUSH,
    SYNC,
    Q,
    Raw,
    bind,
    close,
    copy_fail,
    describe,
    execute,
    once,
    parse,
    rows,
    shown,
)  # fmt: skip
from tests.services.reversible.recording import Recorded

pytestmark = pytest.mark.slow

Step = tuple[bytes, bytes]
_SCHEMA = """
CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
INSERT INTO t SELECT i, i * 10 FROM generate_series(1, 5) i;
CREATE TABLE later (t_id int REFERENCES t DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION noisy(n int) RETURNS int LANGUAGE plpgsql AS $$
  BEGIN RAISE NOTICE 'noise %', n; INSERT INTO t VALUES (n); RETURN n; END $$;
CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'late'; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
"""
_STATE = """
SELECT (SELECT json_agg(t ORDER BY id) FROM t)::text, (SELECT count(*) FROM later),
  (SELECT array_agg(relname ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace)::text
"""


BUSY = (
    "SELECT oid FROM pg_class",
    "DO $$ BEGIN RAISE NOTICE 'of the keeper'; END $$",
    "SELECT set_config('IntervalStyle', 'iso_8601', true)",
    "SELECT set_config('IntervalStyle', 'postgres', true)",
)
"""What the keeper does over the client's session whenever it is asked."""


def strings(*texts: str) -> list[Step]:
    return [(Q(text), b"Z") for text in texts]


def batches(*raw: bytes) -> list[Step]:
    return [(one + SYNC, b"Z") for one in raw]


SIMPLE = {
    "one": strings("SELECT 1", "INSERT INTO t VALUES (6)", "CREATE TABLE x ()", "DROP TABLE x", "SHOW search_path"),
    "empty": strings("", ";", " -- nothing\n", ";;"),
    "several": strings("INSERT INTO t VALUES (6); SELECT 1; DELETE FROM t WHERE id = 1"),
    "several that fail": strings("INSERT INTO t VALUES (6); SELECT 1/0; DELETE FROM t", "SELECT 2"),
    "places of errors": strings(
        "INSERT INTO t VALUES (6); -- é ß\n INSERT INTO nope VALUES (1)", "SELECT  nope", "  INSERT INTO t (nope) SELECT 1"
    ),
    "syntax error": strings("SELECT 1; SELEC 2; SELECT 3", "INSERT INTO t VALUES (6", "SELECT 'open", "CREATE"),
    "explicit in a string": strings("BEGIN; INSERT INTO t VALUES (6); COMMIT; INSERT INTO t VALUES (7); SELECT 1/0"),
    "begins in the middle": strings("INSERT INTO t VALUES (6); BEGIN; INSERT INTO t VALUES (7)", "ROLLBACK"),
    "begins in the middle, options": strings(
        "SET LOCAL lock_timeout = 7; BEGIN READ ONLY; SHOW lock_timeout", "INSERT INTO t VALUES (6)", "COMMIT"
    ),
    "begins and fails": strings("BEGIN; INSERT INTO t VALUES (6); SELECT 1/0; SELECT 2", "SELECT 3", "COMMIT"),
    "commits in the middle": strings("INSERT INTO t VALUES (6); COMMIT; INSERT INTO t VALUES (7); SELECT 1/0"),
    "rolls back in the middle": strings("INSERT INTO t VALUES (6); ROLLBACK; INSERT INTO t VALUES (7)"),
    "chain in the middle": strings("INSERT INTO t VALUES (6); COMMIT AND CHAIN", "SELECT 1"),
    "savepoint in the middle": strings("INSERT INTO t VALUES (6); SAVEPOINT a", "INSERT INTO t VALUES (7); ROLLBACK TO a"),
    "string in a transaction": strings("BEGIN", "INSERT INTO t VALUES (6); SELECT 1", "SELECT 1; SELECT 1/0", "ROLLBACK; SELECT 5"),
    "string that ends one": strings("BEGIN; INSERT INTO t VALUES (6)", "INSERT INTO t VALUES (7); COMMIT; SELECT 1", "SELECT 2"),
    "transaction": strings("BEGIN", "INSERT INTO t VALUES (6)", "SELECT count(*) FROM t", "COMMIT", "SELECT 1"),
    "commit of a failed one": strings("BEGIN", "SELECT 1/0", "INSERT INTO t VALUES (6)", "COMMIT", "SELECT 1"),
    "abort, end": strings("START TRANSACTION", "INSERT INTO t VALUES (6)", "ABORT", "BEGIN WORK", "INSERT INTO t VALUES (7)", "END"),
    "chain": strings("BEGIN", "INSERT INTO t VALUES (6)", "COMMIT AND CHAIN", "INSERT INTO t VALUES (7)", "ROLLBACK AND CHAIN", "COMMIT"),
    "no transaction": strings("COMMIT", "ROLLBACK", "SAVEPOINT a", "RELEASE a", "ROLLBACK TO a", "COMMIT AND CHAIN", "SELECT 1; COMMIT"),
    "twice": strings("BEGIN", "BEGIN", "INSERT INTO t VALUES (6)", "BEGIN", "COMMIT", "COMMIT"),
    "savepoints": strings(
        "BEGIN", "SAVEPOINT a", "INSERT INTO t VALUES (6)", "SAVEPOINT b", "SELECT 1/0", "SELECT 1", "ROLLBACK TO b",
        "INSERT INTO t VALUES (7)", "ROLLBACK TO a", "INSERT INTO t VALUES (8)", "RELEASE a", "COMMIT",
    ),
    "isolation": strings(
        "BEGIN", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "INSERT INTO t VALUES (6)", "SHOW transaction_isolation", "COMMIT",
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SHOW transaction_isolation", "INSERT INTO t VALUES (7)", "ROLLBACK",
        "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE", "SELECT count(*) FROM t", "COMMIT",
        "INSERT INTO t VALUES (8); SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    ),
    "constraints": strings(
        "BEGIN", "SET CONSTRAINTS ALL IMMEDIATE", "INSERT INTO later VALUES (99)", "ROLLBACK",
        "BEGIN", "INSERT INTO later VALUES (99)", "COMMIT", "SELECT 1",
    ),
    "commit fails": strings("INSERT INTO later VALUES (99)", "INSERT INTO t VALUES (6); INSERT INTO later VALUES (99)", "SELECT 1"),
    "notices": strings("SELECT noisy(6) /* wrap */", "INSERT INTO t VALUES (7)", "DROP TABLE IF EXISTS nope", "DO $$ BEGIN RAISE WARNING 'w'; END $$"),
    "error in a function": strings("SELECT noisy(1) /* wrap */", "BEGIN", "SELECT noisy(1) /* wrap */", "ROLLBACK"),
    "alone": strings("VACUUM t", "CREATE INDEX CONCURRENTLY i ON t (n)", "VACUUM nope", "DROP INDEX CONCURRENTLY i"),
    "alone in one": strings("BEGIN", "VACUUM t", "ROLLBACK", "SELECT 1; VACUUM t", "DROP INDEX CONCURRENTLY i; SELECT 1"),
    "parameters": strings(
        "SET application_name = 'a'", "SET search_path = nowhere", "BEGIN; SET TimeZone = 'Asia/Seoul'", "INSERT INTO public.t VALUES (6)",
        "ROLLBACK", "SET DateStyle = 'German'; INSERT INTO public.t VALUES (7)", "RESET ALL",
    ),
    "parameters that do not last": strings("SET TimeZone = 'Asia/Seoul'; INSERT INTO t VALUES (1)", "SELECT 1"),
    "listen": strings("LISTEN c", "NOTIFY c, 'one'", "BEGIN; NOTIFY c, 'two'; INSERT INTO t VALUES (6); COMMIT", "INSERT INTO t VALUES (7); NOTIFY c"),
    "cursors": strings("BEGIN", "DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id", "FETCH 2 FROM c", "INSERT INTO t VALUES (6)", "FETCH ALL FROM c", "CLOSE c", "COMMIT"),
    "prepared in SQL": strings("PREPARE p AS INSERT INTO t VALUES ($1)", "EXECUTE p(6)", "EXECUTE p(6)", "DEALLOCATE p"),
    "copy out": strings("COPY t TO STDOUT", "COPY (SELECT 1/0) TO STDOUT", "SELECT 1; COPY t TO STDOUT; SELECT 2", "COPY t TO STDOUT (FORMAT binary)"),
    "copy in": [
        (Q("COPY t FROM STDIN"), b"G"), (rows("6\t1", "7\t2") + COPY_DONE, b"Z"),
        (Q("INSERT INTO t VALUES (8); COPY t FROM STDIN; SELECT count(*) FROM t"), b"G"), (rows("9\t1") + COPY_DONE, b"Z"),
        (Q("COPY t FROM STDIN"), b"G"), (rows("10\t1") + FLUSH + SYNC + COPY_DONE, b"Z"),
        (Q("BEGIN; COPY t FROM STDIN"), b"G"), (rows("11\t1") + copy_fail("no more"), b"Z"), *strings("COMMIT"),
    ],
    "copy in that fails": [
        (Q("COPY t FROM STDIN"), b"G"), (rows("6\t1") + copy_fail("no more"), b"Z"),
        (Q("COPY t FROM STDIN"), b"G"), (rows("6\tx"), b"Z"), (rows("7\t1") + COPY_DONE + Q("SELECT 1"), b"Z"),
        (Q("COPY t FROM STDIN; SELECT 1"), b"G"), (rows("6\t1", "6\t1") + COPY_DONE, b"Z"), *strings("SELECT 2"),
    ],
}  # fmt: skip

EXTENDED = {
    "one": batches(once("SELECT 1"), once("INSERT INTO t VALUES (6)"), once("CREATE TABLE x ()"), once("")),
    "errors": batches(once("SELEC 1"), once("INSERT INTO nope VALUES (1)"), once("INSERT INTO t VALUES (1)"), once("SELECT 1; SELECT 2")),
    "named, again and again": batches(
        parse("INSERT INTO t SELECT max(id) + 1 FROM t RETURNING id", "s") + describe(b"S", "s"),
        bind(name="s") + execute(), bind(name="s") + execute() + bind("p", "s") + describe(b"P", "p") + execute("p") + close(b"P", "p"),
        close(b"S", "s"), bind(name="s") + execute(), parse("SELECT 1", "s") + parse("SELECT 1", "s"), close(b"S", "never"),
    ),
    "parameters": batches(
        parse("INSERT INTO t VALUES ($1, $2)", "s") + describe(b"S", "s"), bind(name="s") + execute(),
    ),
    "pipeline": batches(
        once("INSERT INTO t VALUES (6)") + once("SELECT count(*) FROM t") + once("DELETE FROM t WHERE id = 6"),
        once("INSERT INTO t VALUES (7)") + once("SELECT 1/0") + once("INSERT INTO t VALUES (8)"),
        once("SELECT 1") + once("INSERT INTO t VALUES (9)") + once("INSERT INTO t VALUES (9)"), once("SELECT 1"),
    ),
    "several sent at once": [
        (once("INSERT INTO t VALUES (6)") + SYNC + once("SELECT 1/0") + SYNC + once("INSERT INTO t VALUES (7)") + SYNC + Q("SELECT 7"), b"Z"),
        (b"", b"Z"), (b"", b"Z"), (b"", b"Z"),
    ],
    "flush": [
        (parse("INSERT INTO t VALUES (6) RETURNING id") + FLUSH, b"1"), (bind() + describe(b"P") + FLUSH, b"T"), (execute() + FLUSH, b"C"),
        (SYNC, b"Z"), (once("INSERT INTO later VALUES (99)") + FLUSH, b"C"), (SYNC, b"Z"), (once("SELECT 1") + FLUSH, b"C"), (SYNC, b"Z"),
    ],
    "portions": batches(
        parse("SELECT id FROM t ORDER BY id") + bind("p") + execute("p", 2) + execute("p", 2) + execute("p", 2) + execute("p", 2),
        parse("INSERT INTO t SELECT i FROM generate_series(6, 9) i RETURNING id") + bind("p") + execute("p", 3) + execute("p", 3),
        parse("SELECT noisy(i) /* wrap */ FROM generate_series(10, 13) i") + bind("p") + execute("p", 1) + execute("p", 2) + execute("p"),
        parse("SELECT noisy(i) /* wrap */ FROM generate_series(20, 23) i") + bind("p") + execute("p", 1),
    ),
    "portals outlive a batch": batches(
        once("BEGIN"), parse("SELECT id FROM t ORDER BY id") + bind("p") + execute("p", 2), execute("p", 2) + once("INSERT INTO t VALUES (6)"),
        execute("p"), once("COMMIT"), execute("p"),
    ),
    "nameless ones stay": batches(
        once("BEGIN"), parse("SELECT id FROM t ORDER BY id") + bind() + execute("", 1), execute("", 1),
        parse("INSERT INTO t VALUES (6)"), bind() + execute(), once("COMMIT"),
        parse("INSERT INTO t SELECT max(id) + 1 FROM t"), bind() + execute(), bind() + execute(),
    ),
    "transactions": batches(
        once("BEGIN"), once("INSERT INTO t VALUES (6)"), once("SAVEPOINT a"), once("SELECT 1/0"), once("SELECT 1"), once("ROLLBACK TO a"),
        once("COMMIT"), once("BEGIN ISOLATION LEVEL SERIALIZABLE"), once("SHOW transaction_isolation"), once("INSERT INTO t VALUES (7)"), once("ROLLBACK"),
        once("BEGIN"), once("SELECT 1/0"), once("COMMIT"), once("COMMIT"), once("ROLLBACK"),
    ),
    "transactions in a batch": batches(
        once("BEGIN") + once("INSERT INTO t VALUES (6)") + once("COMMIT"), once("BEGIN") + once("INSERT INTO t VALUES (7)") + once("SELECT 1/0"),
        once("ROLLBACK"), once("BEGIN") + once("INSERT INTO t VALUES (8)") + once("COMMIT") + once("INSERT INTO t VALUES (9)"),
        once("BEGIN") + once("INSERT INTO t VALUES (10)") + once("ROLLBACK AND CHAIN") + once("INSERT INTO t VALUES (11)"), once("COMMIT"),
    ),
    "taken over in a batch": batches(
        once("INSERT INTO t VALUES (6)") + once("COMMIT") + once("INSERT INTO t VALUES (7)"),
        once("INSERT INTO t VALUES (8)") + once("ROLLBACK") + once("INSERT INTO t VALUES (9)"),
        once("INSERT INTO t VALUES (10)") + once("BEGIN") + once("INSERT INTO t VALUES (11)"), once("COMMIT"),
        once("INSERT INTO t VALUES (12)") + once("SAVEPOINT a"), once("INSERT INTO t VALUES (13)") + once("COMMIT AND CHAIN"),
        once("SELECT 1") + once("BEGIN") + once("INSERT INTO t VALUES (14)"), once("ROLLBACK"),
    ),
    "commit fails": batches(
        once("BEGIN") + once("INSERT INTO later VALUES (99)") + once("COMMIT"), once("SELECT 1"),
    ),
    "alone": batches(once("VACUUM t"), once("CREATE INDEX CONCURRENTLY i ON t (n)"), once("VACUUM nope"), once("DROP INDEX CONCURRENTLY i")),
    "simple between": [
        *batches(parse("SELECT 1", "s") + bind("p", "s")), *strings("INSERT INTO t VALUES (6)"), *batches(bind(name="s") + execute()),
        (parse("SELECT 5", "z") + Q("SELECT 6"), b"Z"), (parse("SELEC 5") + Q("SELECT 6") + SYNC, b"Z"), *strings("SELECT 7"),
    ],
    "copy": [
        *batches(once("COPY t TO STDOUT")), (once("COPY t FROM STDIN") + SYNC, b"G"), (rows("6\t1") + COPY_DONE + SYNC, b"Z"),
        (once("COPY t FROM STDIN") + SYNC, b"G"), (rows("7\tx"), b"E"), (rows("8\t1") + COPY_DONE + SYNC, b"Z"), *batches(once("SELECT 1")),
        (once("COPY t FROM STDIN") + FLUSH, b"G"), (rows("9\t1") + copy_fail("no") + SYNC, b"Z"), *batches(once("SELECT 1")),
    ],
    "cursors": [
        *batches(once("BEGIN"), once("DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id"), execute("c", 2), describe(b"P", "c") + execute("c")),
        *strings("COMMIT"),
    ],
    "unknown names": batches(bind(name="nope"), execute("nope"), describe(b"S", "nope"), describe(b"P", "nope")),
    "changed results": batches(
        parse("SELECT * FROM t WHERE id = 1 /* wrap */", "s"), bind(name="s") + execute(), once("ALTER TABLE t ADD c int"), bind(name="s") + execute(),
    ),
    "listen": batches(once("LISTEN c"), once("NOTIFY c, 'one'"), once("NOTIFY c, 'two'") + once("INSERT INTO t VALUES (6)")),
    "prepared in SQL": [*strings("PREPARE p AS SELECT 5"), *batches(once("EXECUTE p"), close(b"S", "p"), once("EXECUTE p"))],
}  # fmt: skip


def conversation(url: str, steps: Sequence[Step]) -> list[object]:
    with closing(Raw(url)) as client:
        heard: list[object] = []
        for said, until in steps:
            client.say(said)
            heard += [shown(one) for one in client.hear(until)]
        return heard


def fresh(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        connection.execute(_SCHEMA)


def state(url: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute(_STATE).fetchone()


def assert_alike(url: str, told: Recorded, steps: Sequence[Step]) -> None:
    fresh(url)
    plain, after = without_pid(conversation(url, steps)), state(url)
    fresh(url)
    told.runs = BUSY
    with proxied(url, told) as proxy:
        through = without_pid(conversation(proxy.environment()["DATABASE_URL"], steps))
        assert proxy.failures == []
    for number, (expected, found) in enumerate(zip(plain, through, strict=False)):
        assert found == expected, f"message {number} after {through[:number][-6:]}"
    assert through == plain
    assert state(url) == after


def without_pid(heard: list[object]) -> list[object]:
    return [(one[0], one[1][4:]) if one[0] == b"A" else one for one in heard]


@pytest.mark.parametrize("name", SIMPLE)
def test_simple_queries_are_answered_as_by_the_server(url: str, told: Recorded, name: str) -> None:
    assert_alike(url, told, SIMPLE[name])


@pytest.mark.parametrize("name", EXTENDED)
def test_extended_queries_are_answered_as_by_the_server(url: str, told: Recorded, name: str) -> None:
    assert_alike(url, told, EXTENDED[name])

"""What the keeper is asked, when, and what its answers do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import errors
from tests.services.reversible.raw import FLUSH, SYNC, Q, Raw, bind, execute, once, parse
from tests.services.reversible.recording import Recorded
from tests.services.reversible.seen import ids, kinds

pytestmark = pytest.mark.slow

Connect = Callable[..., psycopg.Connection[Any]]


def whole(*statements: str) -> list[str]:
    asked = [call for one in statements for call in (f"statement {one}", f"ran {one}")]
    return ["begins", *asked, "before_commit", "ended committed=True"]


def test_a_statement_that_stands_alone_is_a_transaction(t: str, connect: Connect, told: Recorded) -> None:
    connect().execute("INSERT INTO t VALUES (2)")
    assert told.calls == whole("INSERT INTO t VALUES (2)")


def test_a_string_is_one_transaction(t: str, connect: Connect, told: Recorded) -> None:
    connect().execute("INSERT INTO t VALUES (2); SELECT 1; INSERT INTO t VALUES (3)")
    assert told.calls == whole("INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)")


def test_a_batch_up_to_sync_is_one_transaction(t: str, connect: Connect, told: Recorded) -> None:
    connection = connect()
    with connection.pipeline():
        connection.execute("INSERT INTO t VALUES (%s)", (2,))
        connection.execute("INSERT INTO t VALUES (%s)", (3,))
    insert = "INSERT INTO t VALUES ($1)"
    assert told.calls == whole(insert, insert)


def test_what_changes_nothing_is_not_asked_about(t: str, connect: Connect, told: Recorded) -> None:
    connection = connect()
    connection.execute("SELECT 1")
    connection.execute("SELECT %s::int", (1,))
    connection.execute("BEGIN; SELECT 1; COMMIT")
    assert told.calls == []


def test_the_keeper_is_asked_at_each_execute(t: str, raw: Raw, told: Recorded) -> None:
    sql = "INSERT INTO t SELECT max(id) + 1 FROM t"
    kinds(raw, parse(sql, "s") + SYNC)
    assert told.calls == []
    kinds(raw, bind(name="s") + execute() + bind(name="s") + execute() + SYNC)
    assert told.calls == whole(sql, sql)


def test_a_portal_run_in_portions_is_one_statement(t: str, raw: Raw, told: Recorded) -> None:
    sql = "SELECT i FROM generate_series(1, 4) i /* wrap */"
    kinds(raw, parse(sql) + bind("p") + execute("p", 2) + execute("p", 2) + execute("p", 2) + SYNC)
    assert told.calls == whole(sql)
    told.calls.clear()
    kinds(raw, parse(sql) + bind("p") + execute("p", 2) + SYNC)
    assert told.calls == whole(sql), "what the client left in the middle has ended before COMMIT"


def test_begins_comes_late_enough_for_set_transaction_and_early_enough_for_savepoints(
    t: str, connect: Connect, told: Recorded
) -> None:
    connection = connect()
    connection.execute("BEGIN")
    connection.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    connection.execute("SELECT 1")
    assert told.calls == []
    connection.execute("SAVEPOINT a")
    assert told.calls == ["begins", "before_savepoint"]
    connection.execute("INSERT INTO t VALUES (2)")
    connection.execute("ROLLBACK TO a")
    connection.execute("INSERT INTO t VALUES (3)")
    connection.execute("COMMIT")
    assert [call.split()[0] for call in told.calls] == [
        *(
            "begins",
            "before_savepoint",
            "statement",
            "ran",
            "rolled_back_to_savepoint",
            "statement",
            "ran",
            "before_commit",
            "ended",
        ),
    ]
    assert ids(t) == [1, 3]


@pytest.mark.parametrize("end", ["ROLLBACK", "COMMIT"])
def test_a_failed_transaction_is_not_asked_about_at_its_commit(
    t: str, connect: Connect, told: Recorded, end: str
) -> None:
    connection = connect()
    connection.execute("BEGIN")
    with pytest.raises(errors.UniqueViolation):
        connection.execute("INSERT INTO t VALUES (1)")
    connection.execute(end)
    assert told.calls == ["begins", "statement INSERT INTO t VALUES (1)", "ended committed=False"]


def test_a_commit_that_the_server_refuses_is_not_a_commit(t: str, connect: Connect, told: Recorded) -> None:
    connection = connect()
    connection.execute("CREATE TABLE later (id int REFERENCES t DEFERRABLE INITIALLY DEFERRED)")
    for sql in ("INSERT INTO later VALUES (9)", "BEGIN; INSERT INTO later VALUES (9); COMMIT"):
        told.calls.clear()
        with pytest.raises(errors.ForeignKeyViolation):
            connection.execute(sql)
        assert told.calls[-2:] == ["before_commit", "ended committed=False"]


def test_each_of_a_chain_of_transactions_begins_and_ends(t: str, connect: Connect, told: Recorded) -> None:
    connection = connect()
    for sql in (
        "BEGIN",
        "INSERT INTO t VALUES (2)",
        "COMMIT AND CHAIN",
        "INSERT INTO t VALUES (3)",
        "ROLLBACK",
    ):
        connection.execute(sql)
    assert told.calls == [
        *whole("INSERT INTO t VALUES (2)"),
        *(
            "begins",
            "statement INSERT INTO t VALUES (3)",
            "ran INSERT INTO t VALUES (3)",
            "ended committed=False",
        ),
    ]


def test_alone_runs_outside_and_the_keeper_hears_how_it_went(
    t: str, connect: Connect, told: Recorded
) -> None:
    connection = connect()
    connection.execute("VACUUM t")
    with pytest.raises(errors.UndefinedTable):
        connection.execute("VACUUM nope")
    assert told.calls == [
        *("before_alone VACUUM t", "ended_alone VACUUM t failed=False"),
        *("before_alone VACUUM nope", "ended_alone VACUUM nope failed=True"),
    ]


@pytest.mark.parametrize("extended", [False, True])
def test_a_vetoed_statement_is_an_error_and_its_transaction_undone(
    t: str, connect: Connect, told: Recorded, extended: bool
) -> None:
    told.veto = lambda call: "That may not be." if call.startswith("statement") and "(3)" in call else None
    connection = connect(prepare_threshold=0 if extended else None)
    run = (lambda sql: connection.execute(sql, prepare=True)) if extended else connection.execute
    with pytest.raises(errors.FeatureNotSupported, match=r"That may not be") as caught:
        run("INSERT INTO t VALUES (3)")
    assert (caught.value.diag.message_detail, caught.value.diag.message_hint) == (
        "That is the detail.",
        "That is the hint.",
    )
    assert told.calls == ["begins", "statement INSERT INTO t VALUES (3)", "ended committed=False"]
    run("BEGIN")
    run("INSERT INTO t VALUES (2)")
    with pytest.raises(errors.FeatureNotSupported):
        run("INSERT INTO t VALUES (3)")
    with pytest.raises(errors.InFailedSqlTransaction):
        run("INSERT INTO t VALUES (4)")
    assert run("COMMIT").statusmessage == "ROLLBACK"
    assert ids(t) == [1]


def test_a_veto_undoes_what_came_before_it_in_the_string(t: str, connect: Connect, told: Recorded) -> None:
    told.veto = lambda call: (
        "No." if call == "ran  INSERT INTO t VALUES (3)" or "ran INSERT INTO t VALUES (3)" in call else None
    )
    with pytest.raises(errors.FeatureNotSupported):
        connect().execute("INSERT INTO t VALUES (2); INSERT INTO t VALUES (3); INSERT INTO t VALUES (4)")
    assert ids(t) == [1]
    assert told.calls[-2:] == ["ran INSERT INTO t VALUES (3)", "ended committed=False"]


def test_a_client_may_go_back_to_its_savepoint_after_a_veto(t: str, connect: Connect, told: Recorded) -> None:
    told.veto = lambda call: "No." if "(3)" in call else None
    connection = connect()
    for sql in ("BEGIN", "INSERT INTO t VALUES (2)", "SAVEPOINT a"):
        connection.execute(sql)
    with pytest.raises(errors.FeatureNotSupported):
        connection.execute("INSERT INTO t VALUES (3)")
    connection.execute("ROLLBACK TO a")
    assert connection.execute("COMMIT").statusmessage == "COMMIT"
    assert ids(t) == [1, 2]


def test_no_success_is_told_of_what_a_vetoed_commit_undoes(t: str, raw: Raw, told: Recorded) -> None:
    told.veto = lambda call: "No." if call == "before_commit" else None
    assert kinds(raw, Q("INSERT INTO t VALUES (2)")) == "EZ"
    assert kinds(raw, Q("SELECT 1; INSERT INTO t VALUES (2); INSERT INTO t VALUES (3)")) == "TDCCEZ"
    assert kinds(raw, once("INSERT INTO t VALUES (2)") + SYNC) == "12nEZ"
    assert kinds(raw, once("INSERT INTO t VALUES (2)") + FLUSH, until=b"C") == "12nC"
    assert kinds(raw, SYNC) == "EZ"
    assert kinds(raw, Q("BEGIN")) == "CZ"
    assert kinds(raw, Q("INSERT INTO t VALUES (2)")) == "CZ"
    assert kinds(raw, Q("COMMIT")) == "EZ"
    assert kinds(raw, Q("SELECT 1")) == "TDCZ"
    assert ids(t) == [1]
    assert "ended committed=True" not in told.calls


def test_what_the_keeper_did_instead_is_told_as_done(t: str, raw: Raw, told: Recorded) -> None:
    told.done = lambda text: (
        ("DROP TABLE", "ALTER TABLE t RENAME TO hidden") if "DROP TABLE t" in text else None
    )
    raw.say(Q("DROP TABLE t"))
    assert [(one.kind, one.body) for one in raw.hear(b"Z")] == [(b"C", b"DROP TABLE\0"), (b"Z", b"I")]
    assert told.calls == ["begins", "statement DROP TABLE t", "before_commit", "ended committed=True"]
    told.done = lambda text: ("ALTER TABLE", "ALTER TABLE hidden RENAME TO t") if "ADD" in text else None
    assert kinds(raw, once("ALTER TABLE hidden ADD a int") + SYNC) == "12nCZ"
    assert ids(t) == [1]
    assert (
        kinds(raw, parse("ALTER TABLE t ADD b int") + bind("p") + execute("p") + execute("p") + SYNC)
        == "12EZ"
    )


def test_what_is_bound_sees_what_the_keeper_has_changed_since(t: str, raw: Raw, told: Recorded) -> None:
    """A portal opened by Bind would hold the table open, and the plan made before."""
    told.runs = ("ALTER TABLE t ADD IF NOT EXISTS extra int DEFAULT 7",)
    sql = "SELECT row_to_json(t)::text FROM t /* wrap */"
    raw.say(parse(sql) + bind() + execute() + SYNC)
    heard = raw.hear(b"Z")
    assert b"".join(one.kind for one in heard) == b"12DCZ"
    assert heard[2].body.endswith(b'{"id":1,"extra":7}')


def test_an_error_of_the_keeper_is_one_of_the_statement(t: str, connect: Connect, told: Recorded) -> None:
    told.runs = ("SELECT 1/0",)
    connection = connect()
    with pytest.raises(errors.DivisionByZero):
        connection.execute("INSERT INTO t VALUES (2)")
    connection.execute("BEGIN")
    with pytest.raises(errors.DivisionByZero):
        connection.execute("INSERT INTO t VALUES (%s)", (2,))
    with pytest.raises(errors.InFailedSqlTransaction):
        connection.execute("SELECT 1")
    connection.execute("ROLLBACK")
    told.runs = ()
    connection.execute("INSERT INTO t VALUES (2)")
    assert ids(t) == [1, 2]


def test_what_the_keeper_puts_off_is_done_before_what_comes_next(
    t: str, connect: Connect, told: Recorded
) -> None:
    connection = connect(autocommit=False)
    told.runs, told.puts_off = (), ("UPDATE t SET id = id + 1",)
    connection.execute("INSERT INTO t VALUES (100) /* wrap */")
    assert connection.execute("SELECT id FROM t ORDER BY id").fetchall() == [(7,), (102,)]
    connection.commit()
    assert ids(t) == [9, 104]


def test_outside_a_transaction_nothing_is_put_off(t: str, connect: Connect, told: Recorded) -> None:
    told.puts_off = ("INSERT INTO t SELECT max(id) + 1 FROM t",)
    told.runs = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "COMMIT")
    connect().execute("VACUUM t")
    assert ids(t) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("runs", [(), ("SELECT 1",)])
def test_an_error_of_what_the_keeper_puts_off_is_one_of_the_statement(
    t: str, connect: Connect, told: Recorded, runs: tuple[str, ...]
) -> None:
    connection = connect(autocommit=False)
    told.runs, told.puts_off = runs, ("SELECT 1 / 0",)
    with pytest.raises(errors.DivisionByZero):
        connection.execute("INSERT INTO t VALUES (2)")
    with pytest.raises(errors.InFailedSqlTransaction):
        connection.execute("INSERT INTO t VALUES (3)")
    told.runs, told.puts_off = (), ()
    connection.rollback()
    connection.execute("INSERT INTO t VALUES (4)")
    connection.commit()
    assert ids(t) == [1, 4]


def test_nothing_of_the_keepers_is_left_in_the_session(t: str, connect: Connect) -> None:
    connection = connect()
    connection.execute("INSERT INTO t VALUES (2)")
    left = "SELECT (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors WHERE name LIKE '\\_bo%')"
    assert connection.execute(left, prepare=False).fetchone() == (0, 0)


def test_a_bug_of_the_keeper_ends_the_session_and_is_remembered(url: str, told: Recorded) -> None:
    from tests.services.reversible.conftest import proxied

    def stumble(call: str) -> str | None:
        raise KeyError(call)

    told.veto = stumble
    with proxied(url, told) as proxy:
        connection = psycopg.connect(proxy.environment()["DATABASE_URL"], autocommit=True)
        with pytest.raises(errors.InternalError_, match="proxy of backout has failed"):
            connection.execute("CREATE TABLE made ()")
        assert connection.closed
        connection.close()
    # The keeper stumbles over the transaction's end, too; the first error is the one that counts.
    assert [type(error) for error in proxy.failures] == [KeyError]
    with psycopg.connect(url) as direct:
        assert direct.execute("SELECT to_regclass('made')").fetchone() == (None,)

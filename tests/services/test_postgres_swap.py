"""A swap makes another database the live one: exactly one is live, whatever happens in the middle."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.waiting import until

from backout.backup import BesideState, SwapOrder
from backout.errors import LostRace, NotPossible, Refused, RunInProgress
from backout.observed import Answer

from .pairs import Pair, ended_by_kill, quiet, until_frozen

pytestmark = pytest.mark.slow


@pytest.fixture
def pair(database: Any) -> Iterator[Pair]:
    made = Pair(database.url, database.server.admin_url(), database.name, database.role)
    made.make()
    yield made
    made.drop()


@pytest.fixture
def adapter(database: Any, tmp_path: Path) -> Any:
    return database.adapter(tmp_path)


def blockers(adapter: Any, order: SwapOrder) -> str:
    return "; ".join(str(b) for b in adapter.swap_blockers(order))


def test_the_other_one_is_live_and_the_old_one_is_kept_read_only(pair: Pair, adapter: Any) -> None:
    order = pair.order()
    assert adapter.swap_blockers(order) == ()
    assert adapter.swap_state(order) is False
    assert 0 < adapter.swap(order, note=quiet) < 2
    assert adapter.swap_state(order) is True
    assert (pair.is_it(), pair.is_it(pair.kept)) == ("good", "bad")
    with pair.connect(pair.kept) as kept, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        kept.execute("DELETE FROM which")
    with pair.connect() as live:
        live.execute("INSERT INTO which (is_it) VALUES ('new')")
        after = live.execute("SELECT max(xmin::text::bigint) FROM which").fetchall()[0][0]
    (found,) = adapter.beside(5)
    assert (found.name, found.state, found.oid) == (pair.kept, BesideState.KEPT, order.live_oid)
    assert found.swap_xid < after
    assert adapter.swap(order, note=quiet) == 0.0, "it was made a second time"


def test_swapping_back_is_the_same_with_the_names_exchanged(pair: Pair, adapter: Any) -> None:
    with pair.connect() as live:
        live.execute(sql.SQL("COMMENT ON DATABASE {} IS 'ours'").format(sql.Identifier(pair.live)))
        live.execute(sql.SQL("ALTER DATABASE {} SET work_mem = '5MB'").format(sql.Identifier(pair.live)))
    order = pair.order()
    adapter.swap(order, note=quiet)
    back = pair.order(beside=pair.kept, beside_oid=order.live_oid, kept=pair.beside)
    adapter.swap(back, note=quiet)
    assert (pair.is_it(), pair.is_it(pair.beside)) == ("bad", "good")
    assert pair.comment(pair.live) == "ours"
    with pair.connect() as live:
        live.execute("INSERT INTO which (is_it) VALUES ('new')")
        assert live.execute("SHOW work_mem").fetchone() == ("5MB",)


def test_rows_written_after_the_swap_are_told_from_the_others(pair: Pair, adapter: Any) -> None:
    order = pair.order()
    with pair.connect() as live:
        live.execute("INSERT INTO which VALUES (10, 'since the backup')")
    adapter.swap(order, note=quiet)
    with pair.connect() as live:
        live.execute("INSERT INTO which (id, is_it) VALUES (99, 'after the swap')")
    (told,) = adapter.differences(pair.kept, tables=(), examples=3, note=quiet)
    assert (told.inserted, told.updated, told.deleted, told.after_swap) == (1, 1, 0, 1)
    assert told.examples == {"inserted": ("id=10",), "updated": ("id=1",)}
    options = {"where": "id > 5", "take_updated": True, "dry_run": False, "note": quiet}
    (brought,) = adapter.bring(pair.kept, ("which",), **options)
    assert (brought.inserted, brought.updated, brought.conflicts) == (1, 0, ())
    with pair.connect() as live:
        found = live.execute("SELECT is_it FROM which ORDER BY id").fetchall()
    assert found == [("good",), ("since the backup",), ("after the swap",)]


def test_a_swap_of_other_databases_than_told_is_refused(pair: Pair, adapter: Any) -> None:
    with pytest.raises(LostRace):
        adapter.swap(pair.order(live_oid=1, beside_oid=None), note=quiet)
    with pytest.raises(LostRace):
        adapter.swap_state(pair.order(beside_oid=1))
    assert pair.is_it() == "bad"


# --- kill -9 ------------------------------------------------------------------------------------


def _swapping(pair: Pair) -> bool:
    with pair.admin() as admin:
        row = admin.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
    return bool(row and row[0])


def test_a_kill_anywhere_leaves_one_live_database_that_a_second_swap_or_reopening_opens(
    pair: Pair, adapter: Any, tmp_path: Path
) -> None:
    order, log = pair.order(), tmp_path / "points"
    back = pair.order(
        live_oid=order.beside_oid, beside=pair.kept, beside_oid=order.live_oid, kept=pair.beside
    )
    assert not ended_by_kill(pair.swap_in_child(tmp_path, order, log=log))
    adapter.swap(back, note=quiet)
    points = log.read_text().split()
    assert {p.split(":")[0] for p in points} >= {
        "swap.close.before", "swap.close.after", "swap.end_sessions.after", "swap.sequences.after",
        "swap.rename.before", "swap.rename.between", "swap.commit.before", "swap.commit.after",
    }  # fmt: skip
    closed = 0
    for number, point in enumerate(points):
        assert ended_by_kill(pair.swap_in_child(tmp_path, order, fault=point)), point
        made = point.startswith("swap.commit.after")
        until(lambda: not _swapping(pair), 10)  # the server notices that its client is gone
        state, means = adapter.swap_state(order), adapter.closed_means()
        assert state in ((True,) if made else (False, None)), point
        assert (means is not None) == (state is None), point
        assert len({pair.live, pair.beside, pair.kept} & pair.open_names()) == (1 if state is None else 2), (
            point
        )
        if state is None:
            closed += 1
            assert adapter.swap_blockers(back) == (), "undoing it is only opening"
            (told,) = adapter.beside(5)
            assert told.closes == pair.live
            assert means.mode == "closed" and means.held is Answer.YES
            with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
                pair.connect()
        if state is None and number % 2:
            hold = adapter.hold_means().observe(5)
            assert (hold.held, hold.mode) == (Answer.YES, "closed")
            adapter.hold_means().release(hold.prior)
            assert adapter.hold_means().observe(5).held is Answer.NO
            assert adapter.swap_state(order) is False and pair.is_it() == "bad", point
        adapter.swap(order, note=quiet)
        assert adapter.swap_state(order) is True and adapter.closed_means() is None, point
        assert (pair.is_it(), pair.is_it(pair.kept)) == ("good", "bad"), point
        adapter.swap(back, note=quiet)
        assert (pair.is_it(), pair.is_it(pair.beside)) == ("bad", "good"), point
    assert closed >= 6


@pytest.mark.parametrize("by", ["drop", "release"])
def test_one_that_a_person_opened_by_hand_is_seen_to_be_open(
    pair: Pair, adapter: Any, tmp_path: Path, by: str
) -> None:
    assert ended_by_kill(pair.swap_in_child(tmp_path, pair.order(), fault="swap.close.after"))
    until(lambda: not _swapping(pair), 10)
    with pytest.raises(Refused, match="cut short"):
        adapter.drop_beside(pair.beside)
    with pair.admin() as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(pair.live)))
    (told,) = adapter.beside(5)
    assert (told.closes, adapter.closed_means(), adapter.swap_state(pair.order())) == (None, None, False)
    if by == "release":
        adapter.hold_means().release({})
        assert "closing" not in (pair.comment(pair.beside) or "")
        # What somebody else closes now is not taken for the swap's.
        with pair.admin() as admin:
            admin.execute(
                sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(pair.live))
            )
        assert adapter.closed_means() is None
    else:
        adapter.drop_beside(pair.beside)
        assert adapter.beside(5) == () and pair.is_it() == "bad"


def test_two_at_once_are_one_swap(pair: Pair, adapter: Any, tmp_path: Path) -> None:
    order = pair.order()
    first = pair.swap_in_child(tmp_path, order, fault="swap.rename.between", how="STOP")
    until_frozen(first)
    try:
        assert pair.live not in pair.open_names()
        with pytest.raises(RunInProgress):
            adapter.swap(order, note=quiet)
        with pytest.raises(RunInProgress):
            adapter.hold_means().release({})
    finally:
        first.send_signal(18)  # SIGCONT
    assert not ended_by_kill(first)
    assert pair.is_it() == "good"
    assert adapter.swap(order, note=quiet) == 0.0


# --- sessions -----------------------------------------------------------------------------------


# A session that began to connect before the renames waits for their lock, and then finds its database renamed.
WHILE_CLOSED = ("not currently accepting", "terminating connection", "just been dropped or renamed")


def test_sessions_of_clients_are_ended_and_those_that_reconnect_find_the_new_one(
    pair: Pair, adapter: Any
) -> None:
    idle = pair.connect()
    idle.execute("BEGIN")
    idle.execute("UPDATE which SET is_it = 'never committed'")
    stop, wrong = threading.Event(), []
    seen: tuple[list[str], ...] = ([], [], [])

    def client(own: list[str]) -> None:
        while not stop.is_set():
            try:
                own.append(pair.is_it())
            except psycopg.Error as error:
                if not any(words in str(error) for words in WHILE_CLOSED):
                    wrong.append(error)

    threads = [threading.Thread(target=client, args=(own,)) for own in seen]
    for thread in threads:
        thread.start()
    until(lambda: all(len(own) > 3 for own in seen))
    adapter.swap(pair.order(), note=quiet)
    counts = [len(own) for own in seen]
    until(lambda: all(len(own) > count + 3 for own, count in zip(seen, counts, strict=True)))
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    for own in seen:
        assert own[-1] == "good" and "bad" not in own[own.index("good") :]
    with pytest.raises(psycopg.OperationalError):
        idle.execute("COMMIT")
    assert pair.is_it(pair.kept) == "bad"


def test_a_superusers_session_is_named_and_nothing_is_changed(pair: Pair, adapter: Any) -> None:
    with pair.admin(pair.live) as admin:
        pid = admin.info.backend_pid
        with pytest.raises(NotPossible, match=f"pid {pid} superuser postgres"):
            adapter.swap(pair.order(), note=quiet)
        assert pair.is_it() == "bad"
    until(lambda: adapter.swap_blockers(pair.order()) == ())
    adapter.swap(pair.order(), note=quiet)


def test_a_superusers_session_that_comes_in_between_ends_the_swap_and_the_live_one_is_open(
    pair: Pair, adapter: Any, tmp_path: Path
) -> None:
    child = pair.swap_in_child(tmp_path, pair.order(), fault="swap.close.before", how="STOP")
    until_frozen(child)
    with pair.admin(pair.live):
        child.send_signal(18)
        _, trouble = child.communicate(timeout=60)
        assert child.returncode == 1 and "superuser postgres" in trouble
    assert pair.is_it() == "bad" and adapter.closed_means() is None


# --- what blocks --------------------------------------------------------------------------------


def test_what_would_stay_behind_blocks(pair: Pair, adapter: Any) -> None:
    with pair.connect() as live:
        live.execute("BEGIN")
        live.execute("INSERT INTO which (is_it) VALUES ('prepared')")
        live.execute("PREPARE TRANSACTION 'left'")
    assert "Prepared transaction left" in blockers(adapter, pair.order())
    with pair.connect() as live:
        live.execute("ROLLBACK PREPARED 'left'")
    assert blockers(adapter, pair.order()) == ""


def test_a_logical_slot_blocks_unless_it_is_named(pair: Pair, adapter: Any) -> None:
    with pair.admin(pair.live) as admin:
        admin.execute("SELECT pg_create_logical_replication_slot('cdc', 'test_decoding')")
    try:
        assert "Logical slot cdc" in blockers(adapter, pair.order())
        with pytest.raises(NotPossible, match="accept it by name"):
            adapter.swap(pair.order(), note=quiet)
        adapter.swap(pair.order(accept_slots=("cdc",)), note=quiet)
        assert pair.is_it() == "good"
    finally:
        with pair.admin(pair.kept if pair.oid(pair.kept) else pair.live) as admin:
            admin.execute("SELECT pg_drop_replication_slot('cdc')")


def test_who_reads_from_a_slot_that_was_named_is_ended_and_the_slot_stays_with_the_kept_one(
    pair: Pair, adapter: Any
) -> None:
    with pair.admin() as admin, pair.admin(pair.live) as live:
        admin.execute(sql.SQL("ALTER ROLE {} REPLICATION").format(sql.Identifier(pair.role)))
        live.execute("SELECT pg_create_logical_replication_slot('cdc', 'test_decoding')")
    reader = subprocess.Popen(
        ["pg_recvlogical", "--dbname", pair.url, "--slot=cdc", "--start", "--file=-", "--no-loop"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    found = sql.SQL("SELECT active, database FROM pg_replication_slots WHERE slot_name = 'cdc'")
    try:
        with pair.admin() as admin:
            until(lambda: admin.execute(found).fetchone() == (True, pair.live))
            adapter.swap(pair.order(accept_slots=("cdc",)), note=quiet)
            assert (pair.is_it(), pair.is_it(pair.kept)) == ("good", "bad")
            _, said = reader.communicate(timeout=60)
            assert reader.returncode and said
            assert admin.execute(found).fetchone() == (False, pair.kept)
    finally:
        reader.kill()
        reader.communicate()
        with pair.admin(pair.kept if pair.oid(pair.kept) else pair.live) as admin:
            until(lambda: admin.execute(found).fetchone() in ((False, pair.kept), (False, pair.live)))
            admin.execute("SELECT pg_drop_replication_slot('cdc')")


def test_a_role_without_createdb_is_told_what_to_type(pair: Pair, adapter: Any) -> None:
    with pair.admin() as admin:
        admin.execute(sql.SQL("ALTER ROLE {} NOCREATEDB").format(sql.Identifier(pair.role)))
    assert f"ALTER ROLE {pair.role} CREATEDB" in blockers(adapter, pair.order())
    with pytest.raises(NotPossible):
        adapter.swap(pair.order(), note=quiet)
    assert pair.is_it() == "bad"


def test_names_that_are_taken_and_a_live_database_that_somebody_closed_block(
    pair: Pair, adapter: Any
) -> None:
    assert "is a database" in blockers(adapter, pair.order(kept="template1"))
    close = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with pair.admin() as admin:
        admin.execute(close.format(sql.Identifier(pair.live), sql.SQL("false")))
        assert adapter.closed_means() is None, "it was not a swap that closed it"
        assert "not backout that closed it" in blockers(adapter, pair.order())
        with pytest.raises(NotPossible):
            adapter.hold_means().observe(5)
        admin.execute(close.format(sql.Identifier(pair.live), sql.SQL("true")))


def test_a_database_that_backout_did_not_make_is_neither_swapped_nor_dropped(
    pair: Pair, adapter: Any
) -> None:
    with pair.admin() as admin:
        admin.execute(sql.SQL("COMMENT ON DATABASE {} IS NULL").format(sql.Identifier(pair.beside)))
    assert "not a database that backout made" in blockers(adapter, pair.order())
    for name in (pair.beside, pair.live, "postgres"):
        with pytest.raises(Refused):
            adapter.drop_beside(name)
    assert pair.is_it(pair.beside) == "good"

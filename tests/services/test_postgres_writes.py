"""Writes are counted, refused, and let through again exactly as before; what cannot be ended is named."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from backout.databases.postgres.marks import SETTING
from backout.errors import CredentialsRefused, NotPossible, StepFailed
from backout.observed import Answer
from backout.plan.model import StepSpec
from backout.steps.no_writes import NoWrites
from backout.testing.steps import acting_on

from .holding import act

pytestmark = pytest.mark.slow


@pytest.fixture
def held_database(database: Any) -> Any:
    database.run("CREATE TABLE reports (id serial PRIMARY KEY, body text)")
    return database


def means_of(database: Any, directory: Path) -> Any:
    return database.adapter(directory).hold_means()


def setting(database: Any) -> str | None:
    with database.admin() as admin:
        row = admin.execute(
            "SELECT entry FROM pg_db_role_setting s, unnest(setconfig) entry, pg_database d"
            " WHERE d.oid = setdatabase AND setrole = 0 AND datname = current_database()"
        ).fetchone()
    return None if row is None else str(row[0]).partition("=")[2]


def write(connection: psycopg.Connection[Any]) -> None:
    connection.execute("INSERT INTO reports (body) VALUES ('x')")


def until(condition: Callable[[], bool], seconds: float) -> bool:
    ends_s = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends_s:
            return False
        time.sleep(0.02)
    return True


# --- counting -----------------------------------------------------------------------------------


def test_a_session_at_work_reports_within_the_documented_window(held_database: Any, tmp_path: Path) -> None:
    adapter = held_database.adapter(tmp_path)
    before = adapter.write_count(5)
    client = held_database.connect()
    write(client)
    assert until(lambda: client.execute("SELECT 1") and adapter.write_count(5) == before + 1, 1.5)


def test_a_session_that_ends_reports_at_once(held_database: Any, tmp_path: Path) -> None:
    adapter = held_database.adapter(tmp_path)
    before = adapter.write_count(5)
    held_database.run(*["INSERT INTO reports (body) VALUES ('x')"] * 2, "UPDATE reports SET body = 'y'")
    assert until(lambda: adapter.write_count(5) == before + 4, 1.5)
    held_database.run("DELETE FROM reports")
    assert until(lambda: adapter.write_count(5) == before + 6, 1.5)


def test_the_last_write_of_an_idle_session_comes_ten_seconds_later(
    held_database: Any, tmp_path: Path
) -> None:
    adapter = held_database.adapter(tmp_path)
    before = adapter.write_count(5)
    client = held_database.connect()
    for _ in range(3):
        write(client)
    assert until(lambda: adapter.write_count(5) == before + 3, 12)


def test_what_an_idle_session_wrote_before_the_hold_is_no_write_during_it(
    held_database: Any, tmp_path: Path
) -> None:
    adapter = held_database.adapter(tmp_path)
    before = adapter.write_count(5)
    client = held_database.connect()
    for _ in range(3):
        write(client)
    adapter.hold_means().hold("refuse_writes")
    assert adapter.write_count(5) == before + 3
    adapter.hold_means().release({SETTING: None})


def test_a_steady_writer_shows_in_every_window(held_database: Any, tmp_path: Path) -> None:
    adapter = held_database.adapter(tmp_path)
    with held_database.connect() as client:
        counts = []
        for _ in range(3):
            ends_s = time.monotonic() + 1.5
            while time.monotonic() < ends_s:
                write(client)
                time.sleep(0.05)
            counts.append(adapter.write_count(5))
    assert counts[0] < counts[1] < counts[2]


def test_reads_and_the_systems_own_upkeep_are_no_writes(held_database: Any, tmp_path: Path) -> None:
    held_database.run("INSERT INTO reports (body) SELECT 'x' FROM generate_series(1, 500)")
    adapter = held_database.adapter(tmp_path)
    before = adapter.write_count(5)
    held_database.run(
        "ANALYZE reports",
        "VACUUM reports",
        "SELECT count(*) FROM reports",
        "SELECT pg_stat_force_next_flush()",
    )
    adapter.schema(5)
    assert not until(lambda: adapter.write_count(5) != before, 1.5)


# --- the proof ----------------------------------------------------------------------------------


def proof(adapter: Any, seconds: float = 0.5) -> Any:
    acting = acting_on({"database": adapter})
    acting = replace(acting, deadline_s=acting.clock.monotonic_s() + 2 * seconds)
    spec = StepSpec(kind="hold.proof", target="database", params={"window_s": seconds}, timeout_s=5)
    return NoWrites().apply(spec, acting)


def test_the_proof_names_a_transaction_that_has_written_and_is_still_open(
    held_database: Any, make_role: Any, tmp_path: Path
) -> None:
    other = make_role("other")
    with held_database.admin() as admin:
        admin.execute(f"GRANT INSERT ON reports TO {other}")
        admin.execute(f"GRANT USAGE ON SEQUENCE reports_id_seq TO {other}")
    adapter = held_database.adapter(tmp_path)
    with held_database.connect() as idle, idle.transaction():
        idle.execute("SELECT count(*) FROM reports")
        assert "no open transaction" in str(proof(adapter).what), "a transaction that reads is none"
    # The role may not look into the other's session, and yet sees that it has written.
    for url in (held_database.url, held_database.url.replace(held_database.role, other)):
        with psycopg.connect(url) as client:
            write(client)
            named = rf"pid {client.info.backend_pid} role {client.info.user}\."
            with pytest.raises(StepFailed, match=named) as caught:
                proof(adapter)
            assert "backend_xid" in caught.value.next_command
            client.rollback()
    with held_database.admin() as admin:
        admin.execute(f"REVOKE ALL ON reports FROM {other}")
        admin.execute(f"REVOKE ALL ON SEQUENCE reports_id_seq FROM {other}")


def test_the_proof_names_a_prepared_transaction(held_database: Any, tmp_path: Path) -> None:
    adapter = held_database.adapter(tmp_path)
    held_database.run("BEGIN", "INSERT INTO reports (body) VALUES ('x')", "PREPARE TRANSACTION 'two-phase'")
    try:
        with pytest.raises(StepFailed, match=f"prepared transaction 'two-phase' role {held_database.role}"):
            proof(adapter)
    finally:
        held_database.run("ROLLBACK PREPARED 'two-phase'")
    assert adapter.writers(5) == ()


# --- holding ------------------------------------------------------------------------------------


def test_hold_refuses_writes_and_release_puts_everything_back(held_database: Any, tmp_path: Path) -> None:
    means = means_of(held_database, tmp_path)
    free = means.observe(5)
    assert (free.name, free.held, free.mode) == ("database", Answer.NO, None)
    assert free.modes == ("refuse_writes", "refuse_connections")
    assert free.prior == {SETTING: None}
    old = held_database.connect()
    write(old)

    means.hold("refuse_writes")
    held = means.observe(5)
    assert (held.held, held.mode, held.prior) == (Answer.YES, "refuse_writes", {SETTING: None})
    with pytest.raises(psycopg.OperationalError):
        write(old)
    during = held_database.connect()
    with pytest.raises(errors.ReadOnlySqlTransaction):
        write(during)
    assert during.execute("SELECT count(*) FROM reports").fetchone() == (1,), "reads go on"

    means.release(free.prior)
    assert setting(held_database) is None
    assert means.observe(5) == free
    with pytest.raises(psycopg.OperationalError):
        during.execute("SELECT 1")  # it would have stayed read-only
    with held_database.connect() as after:
        write(after)


@pytest.mark.parametrize("prior", ["off", "false", "on", "TRUE"])
def test_a_setting_that_was_there_comes_back_to_the_letter(
    held_database: Any, tmp_path: Path, prior: str
) -> None:
    with held_database.admin() as admin:
        admin.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}").format(
                sql.Identifier(held_database.name), sql.Literal(prior)
            )
        )
    means = means_of(held_database, tmp_path)
    free = means.observe(5)
    assert free.prior == {SETTING: prior}
    means.hold("refuse_writes")
    assert means.observe(5).held is Answer.YES
    means.release(free.prior)
    assert setting(held_database) == prior
    assert means.observe(5) == free


def test_both_are_idempotent(held_database: Any, tmp_path: Path) -> None:
    means = means_of(held_database, tmp_path)
    prior = means.observe(5).prior
    for _ in range(2):
        means.hold("refuse_writes")
        assert means.observe(5).prior == prior
    means.release(prior)
    with held_database.connect() as client:
        means.release(prior)
        write(client)  # the second release ended nobody


def test_no_write_gets_in_while_clients_never_stop_trying(held_database: Any, tmp_path: Path) -> None:
    import threading

    stop, written = threading.Event(), []

    def client() -> None:
        while not stop.is_set():
            try:
                with held_database.connect(connect_timeout=2) as connection:
                    while not stop.is_set():
                        write(connection)
                        written.append(time.monotonic())
            except psycopg.Error:
                stop.wait(0.005)

    threads = [threading.Thread(target=client) for _ in range(6)]
    for thread in threads:
        thread.start()
    adapter = held_database.adapter(tmp_path)
    means = adapter.hold_means()
    try:
        assert until(lambda: len(written) > 100, 10)
        means.hold("refuse_writes")
        held_s, count = time.monotonic(), adapter.write_count(5)
        assert not until(lambda: adapter.write_count(5) != count, 2.0), "a row was written during the hold"
        released_s = time.monotonic()
        assert not [at for at in written if held_s < at < released_s]
        means.release({SETTING: None})
        so_far = len(written)
        assert until(lambda: len(written) > so_far + 100, 10), "the clients write again by themselves"
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_sessions_of_backout_itself_are_left_alone(held_database: Any, tmp_path: Path) -> None:
    means = means_of(held_database, tmp_path)
    with held_database.connect(application_name="backout") as own:
        means.hold("refuse_writes")
        assert own.execute("SELECT 1").fetchone() == (1,)
        means.release({SETTING: None})
        assert own.execute("SELECT 1").fetchone() == (1,)


FAULTS = [
    "database.hold.set.before",
    "database.hold.set.after",
    "database.hold.end_sessions.before",
    "database.hold.end_sessions.after",
    "database.hold.mark.after",
    "database.release.set.before",
    "database.release.set.after",
    "database.release.end_sessions.before",
    "database.release.end_sessions.after",
    "database.release.mark.after",
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("then", ["hold", "release"])
def test_killed_anywhere_either_direction_finishes_from_what_is_at_the_target(
    held_database: Any, tmp_path: Path, fault: str, then: str
) -> None:
    what = "release" if "release" in fault else "refuse_writes"
    means = means_of(held_database, tmp_path)
    if what == "release":
        means.hold("refuse_writes")
    client = held_database.connect()
    assert act(held_database, what, BACKOUT_FAULT=fault) == -signal.SIGKILL

    fact = means.observe(5)
    assert fact.prior == {SETTING: None}, "what was before the hold is known even half-way"
    # A step looks before it acts: what it takes for done must be so.
    if then == "hold":
        if not (fact.held is Answer.YES and fact.mode == "refuse_writes"):
            means.hold("refuse_writes")
        assert means.observe(5).mode == "refuse_writes"
        for connection in (client, held_database.connect()):
            with pytest.raises(psycopg.Error):
                write(connection)
    else:
        if fact.held is not Answer.NO:
            means.release(fact.prior)
        assert setting(held_database) is None
        with contextlib.suppress(psycopg.OperationalError):  # ended: it reconnects
            write(client)
        write(held_database.connect())


def test_every_fault_point_of_hold_and_release_is_tried_above(held_database: Any, tmp_path: Path) -> None:
    log = tmp_path / "faults"
    for what in ("refuse_writes", "release"):
        assert act(held_database, what, BACKOUT_FAULT_LOG=str(log)) == 0
    assert [line.partition(":")[0] for line in log.read_text().splitlines()] == FAULTS


# --- what it cannot do --------------------------------------------------------------------------


def test_a_session_that_does_not_end_is_named_with_what_it_does_and_a_second_hold_ends_it(
    held_database: Any, tmp_path: Path
) -> None:
    means = means_of(held_database, tmp_path)
    stuck = held_database.connect()
    pid = stuck.info.backend_pid
    write(stuck)
    with held_database.connect() as looking:
        waits = "SELECT wait_event = 'ClientRead' FROM pg_stat_activity WHERE pid = %s"
        assert until(lambda: looking.execute(waits, (pid,)).fetchone() == (True,), 10)
    os.kill(pid, signal.SIGSTOP)  # as one that waits for a disk
    try:
        with pytest.raises(StepFailed, match=rf"pid {pid} role \S+ application .* \(idle, waits for Client "):
            means.hold("refuse_writes")
        assert (means.observe(5).held, means.observe(5).mode) == (Answer.YES, None)
    finally:
        os.kill(pid, signal.SIGCONT)
    means.hold("refuse_writes")
    assert means.observe(5).mode == "refuse_writes"
    with pytest.raises(psycopg.OperationalError):
        write(stuck)
    means.release({SETTING: None})


def test_a_session_out_of_reach_that_may_write_is_named(
    held_database: Any, make_role: Any, tmp_path: Path
) -> None:
    other = make_role("other")
    with held_database.admin() as admin:
        admin.execute(f"GRANT INSERT ON reports TO {other}")
    foreign = psycopg.connect(held_database.url.replace(held_database.role, other), autocommit=True)
    means = means_of(held_database, tmp_path)
    with pytest.raises(StepFailed, match=f"role {other}") as caught:
        means.hold("refuse_writes")
    assert "may still write" in str(caught.value.state)
    fact = means.observe(5)
    assert (fact.held, fact.mode) == (Answer.YES, None), "not claimed to hold, and not claimed to be free"
    foreign.close()
    means.hold("refuse_writes")
    assert means.observe(5).mode == "refuse_writes"
    means.release({SETTING: None})
    with held_database.admin() as admin:
        admin.execute(f"REVOKE ALL ON reports FROM {other}")


def test_a_session_that_may_only_read_is_no_obstacle(
    held_database: Any, make_role: Any, tmp_path: Path
) -> None:
    reader = make_role("reader")
    with held_database.admin() as admin:
        admin.execute(f"GRANT SELECT ON reports TO {reader}")
    with psycopg.connect(held_database.url.replace(held_database.role, reader), autocommit=True) as watching:
        means = means_of(held_database, tmp_path)
        means.hold("refuse_writes")
        assert means.observe(5).mode == "refuse_writes"
        assert watching.execute("SELECT count(*) FROM reports").fetchone() == (0,)
        means.release({SETTING: None})
    with held_database.admin() as admin:
        admin.execute(f"REVOKE ALL ON reports FROM {reader}")


def test_a_role_with_a_setting_of_its_own_is_named_before_anything_is_changed(
    held_database: Any, tmp_path: Path
) -> None:
    held_database.run(f"ALTER ROLE {held_database.role} SET {SETTING} = off")
    means = means_of(held_database, tmp_path)
    with pytest.raises(NotPossible, match=held_database.role):
        means.hold("refuse_writes")
    assert setting(held_database) is None
    assert means.observe(5).held is Answer.NO


def test_a_role_that_does_not_own_the_database_is_refused(
    held_database: Any, make_role: Any, tmp_path: Path
) -> None:
    stranger = make_role("stranger")
    means = means_of(replace(held_database, role=stranger), tmp_path)
    with pytest.raises(CredentialsRefused, match="must be owner"):
        means.hold("refuse_writes")
    assert means.observe(5).held is Answer.NO


# --- by hand ------------------------------------------------------------------------------------


def test_what_is_printed_can_be_typed(held_database: Any, tmp_path: Path) -> None:
    means = means_of(held_database, tmp_path)
    env = {**os.environ, "DATABASE_URL": held_database.url}

    def type_in(commands: tuple[str, ...]) -> None:
        for command in commands:
            assert "s3cret" not in command
            subprocess.run(["/bin/sh", "-ec", command], env=env, check=True, capture_output=True)

    prior = means.observe(5).prior
    client = held_database.connect()
    type_in(means.by_hand("refuse_writes", prior))
    assert means.observe(5).mode == "refuse_writes"
    with pytest.raises(psycopg.OperationalError):
        write(client)
    type_in(means.by_hand(None, prior))
    assert means.observe(5).held is Answer.NO
    with held_database.connect() as after:
        write(after)

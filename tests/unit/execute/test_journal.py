"""The journal's chain, and the lease in the state file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backout.clock import SystemClock
from backout.errors import ExitCode, JournalTampered, StoreTooNew, StoreUnreadable
from backout.execute.journal import Journal
from backout.execute.lease import StoreLease
from backout.execute.mirror import told
from backout.execute.store import Store
from backout.redact import Redactor
from backout.testing.lease import check_lease_store, lease_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def journal(store: Store) -> Journal:
    redactor = Redactor()
    redactor.add("hunter22")
    made = Journal(store, SystemClock(), "ops@here", redactor)
    for number in range(5):
        made.append("test.happened", {"number": number}, run="run-1" if number % 2 else None)
    return made


def spoil(store: Store, statement: str) -> None:
    with sqlite3.connect(store.path) as raw:
        raw.execute(statement)
    raw.close()


def test_a_whole_journal_is_whole(journal: Journal) -> None:
    assert journal.verify(journal.head()) == 5
    assert [e.body["number"] for e in journal.events("run-1")] == [1, 3]
    assert [e.seq for e in journal.events(newest=2)] == [4, 5]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET body = '{\"number\":9}' WHERE seq = 3",
        "UPDATE events SET actor = 'somebody else' WHERE seq = 3",
        "UPDATE events SET at = '2020-01-01T00:00:00+00:00' WHERE seq = 3",
        "UPDATE events SET digest = prev WHERE seq = 5",
        "UPDATE events SET body = 'rubbish' WHERE seq = 2",
        "DELETE FROM events WHERE seq = 1",
        "DELETE FROM events WHERE seq = 3",
        "INSERT INTO events SELECT 6, at, run, actor, generation, kind, body, prev, digest FROM events WHERE seq = 5",
    ],
)
def test_what_was_changed_is_found(store: Store, journal: Journal, statement: str) -> None:
    head = journal.head()
    spoil(store, statement)
    with pytest.raises(JournalTampered) as raised:
        journal.verify(head)
    assert raised.value.exit_code is ExitCode.OUTCOME_UNKNOWN


def test_a_journal_cut_short_is_found_by_the_head_that_was_seen_elsewhere(
    store: Store, journal: Journal
) -> None:
    head = journal.head()
    spoil(store, "DELETE FROM events WHERE seq = 5")
    assert journal.verify() == 4
    with pytest.raises(JournalTampered):
        journal.verify(head)


def test_a_secret_does_not_reach_the_journal(journal: Journal) -> None:
    event = journal.append("test.happened", {"text": "password hunter22", "list": ["postgres://u:abc@h/d"]})
    assert event.body == {"text": "password ***", "list": ["postgres://u:***@h/d"]}


def test_what_also_fails_is_not_journalled(journal: Journal) -> None:
    def fails(_sql: object) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        journal.append("test.happened", {}, also=fails)
    assert journal.verify() == 5


def test_rubbish_and_newer_formats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"rubbish" * 1000)
    with pytest.raises(StoreUnreadable) as raised:
        Store(tmp_path)
    assert "emergency" in raised.value.next_command
    other = tmp_path / "newer"
    Store(other).close()
    with sqlite3.connect(other / "state.db") as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(StoreTooNew):
        Store(other)


def test_the_lease_in_the_state_file_keeps_its_promises(store: Store) -> None:
    check_lease_store(StoreLease(store))


def test_runs_journalled_elsewhere_are_adopted_once_and_whole(tmp_path: Path, journal: Journal) -> None:
    other = Store(tmp_path / "other")
    elsewhere = Journal(other, SystemClock(), "ops@laptop", Redactor())
    for kind in ("run.created", "run.started", "run.finished"):
        elsewhere.append(kind, {}, run="run-9", generation=7)
    events = elsewhere.events()
    other.close()
    assert journal.adopt([told(e) for e in events]) == 1
    assert journal.adopt([told(e) for e in events]) == 0
    adopted = journal.events("run-9")
    assert [(e.kind, e.at, e.actor, e.generation) for e in adopted] == [
        (e.kind, e.at, "ops@laptop", 7) for e in events
    ]
    assert journal.verify(journal.head()) == 8


def test_the_lease_and_the_journal_share_one_state_file_from_two_threads(
    store: Store, journal: Journal
) -> None:
    lease, ended = StoreLease(store), threading.Event()
    assert lease.swap(None, lease_of(1))
    refused = []

    def renew() -> None:
        while not ended.is_set():
            if not lease.swap(1, lease_of(1)):
                refused.append(1)

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        for number in range(150):
            journal.append("test.happened", {"number": number})
    finally:
        ended.set()
        thread.join()
    assert not refused
    assert journal.verify(journal.head()) == 155

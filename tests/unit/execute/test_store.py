"""Opening the state file: made whole or not at all, and what each failure means for a person."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from backout.clock import SystemClock
from backout.errors import StoreUnreadable
from backout.execute.journal import Journal
from backout.execute.store import Store
from backout.redact import Redactor

NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A state folder that any user can reach: pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        made = Path(name) / "state"
        Store(made).close()
        yield made


@contextmanager
def somebody_else() -> Iterator[None]:
    """Act as a user who owns nothing; whoever is not root takes the permissions away from itself instead."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def append(store: Store) -> None:
    Journal(store, SystemClock(), "ops@here", Redactor()).append("test.happened", {})


def events(store: Store) -> list[tuple[object, ...]]:
    return store.rows("SELECT seq FROM events")


def test_it_is_for_its_owner_alone(folder: Path) -> None:
    with closing(Store(folder)) as store:
        append(store)
        assert {f.name: oct(f.stat().st_mode & 0o777) for f in folder.iterdir()} == {
            "state.db": "0o600",
            "state.db-wal": "0o600",
            "state.db-shm": "0o600",
        }
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_file_that_was_emptied_is_not_taken_for_a_new_one(folder: Path) -> None:
    (folder / "state.db").write_bytes(b"")
    with pytest.raises(StoreUnreadable, match=r"state\.db cannot be used: it is empty") as raised:
        Store(folder)
    assert raised.value.next_command.startswith("mv ")
    assert (folder / "state.db").stat().st_size == 0


def test_a_database_of_somebody_else_is_left_alone(folder: Path) -> None:
    (folder / "state.db").unlink()
    with closing(sqlite3.connect(folder / "state.db")) as sql:
        sql.execute("CREATE TABLE orders (id INTEGER)")
    with pytest.raises(StoreUnreadable, match="it is no state file") as raised:
        Store(folder)
    open_now = {Path(file.path).name for file in psutil.Process().open_files()}
    assert "state.db" not in open_now, f"it is left open while somebody reads: {raised.value}"


def test_many_that_make_it_at_once_have_the_same_one(tmp_path: Path) -> None:
    pids = []
    for _ in range(6):
        pid = os.fork()
        if pid == 0:
            code = 1
            with suppress(BaseException), closing(Store(tmp_path / "new")) as store:
                append(store)
                code = 0
            os._exit(code)
        pids.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * 6
    with closing(Store(tmp_path / "new")) as store:
        assert len(events(store)) == 6
    assert not list((tmp_path / "new").glob("*.new"))


def test_looking_makes_nothing(folder: Path) -> None:
    missing = folder.parent / "missing"
    with closing(Store(missing, look_only=True)) as store:
        assert events(store) == []
    assert not missing.exists()
    before = sorted(f.name for f in folder.iterdir())
    with closing(Store(folder, look_only=True)) as store:
        assert events(store) == []
        with pytest.raises(StoreUnreadable, match="it may only be read"):
            append(store)
    assert sorted(f.name for f in folder.iterdir()) == before


def test_looking_sees_what_another_process_just_wrote(folder: Path) -> None:
    with closing(Store(folder)) as writer:
        append(writer)
        with closing(Store(folder, look_only=True)) as store:
            assert len(events(store)) == 1


def test_a_folder_without_permission_is_not_called_damaged(folder: Path) -> None:
    Path(folder).chmod(0o700 if os.geteuid() == 0 else 0o000)
    try:
        with somebody_else(), pytest.raises(StoreUnreadable) as raised:
            Store(folder)
    finally:
        Path(folder).chmod(0o700)
    assert "Permission denied" in str(raised.value)
    assert "belongs to" in str(raised.value)
    assert "Run backout as its owner" in str(raised.value.state)
    assert raised.value.next_command.startswith("ls -la ")


@pytest.mark.parametrize("folder_mode", [0o755, 0o555])
def test_who_may_only_read_reads(folder: Path, folder_mode: int) -> None:
    with closing(Store(folder)) as store:
        append(store)
    mine = os.geteuid() != 0
    Path(folder / "state.db").chmod(0o444)
    Path(folder).chmod(0o555 if mine else folder_mode)
    try:
        with somebody_else(), closing(Store(folder)) as store:
            assert len(events(store)) == 1
            with pytest.raises(StoreUnreadable, match="it may only be read") as raised:
                append(store)
            assert raised.value.next_command.startswith("ls -la ")
    finally:
        Path(folder).chmod(0o700)


def test_a_question_that_is_wrong_does_not_condemn_the_file(folder: Path) -> None:
    with (
        closing(Store(folder)) as store,
        pytest.raises(sqlite3.IntegrityError, match="datatype mismatch"),
    ):
        store.rows("SELECT 1 LIMIT ?", ("x",))


def test_a_file_that_another_process_keeps_is_not_called_damaged(folder: Path) -> None:
    with closing(Store(folder)) as store, closing(Store(folder)) as other:
        store.rows("PRAGMA busy_timeout = 50")
        with other.writing(), pytest.raises(StoreUnreadable, match="is in use") as raised:
            append(store)
        assert raised.value.next_command == "backout   # who acts; then try again"
        append(store)

"""The contract of backup stores: subclass `BackupContract`, give it a `case`, and run it with pytest."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backout.backup import Backup, BackupFormat, Manifest
from backout.backups.base import BackupStore
from backout.errors import BackoutError

_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class BackupCase:
    """A place for backups that is there and empty.

    Attributes:
        store: Binds the store to that place anew, as another process would.
        stranger: Binds it for another service or environment.
        away: Makes the place unreadable; it may be called once.
    """

    store: Callable[[], BackupStore]
    stranger: Callable[[], BackupStore]
    service: str
    environment: str
    away: Callable[[], None]

    def manifest(self, hour: int, **changes: object) -> Manifest:
        """Return the manifest of a backup taken at that hour."""
        at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hour)
        return Manifest(
            service=self.service,
            environment=self.environment,
            database="db",
            taken_at=at,
            finished_at=at + timedelta(minutes=1),
            server_version=150018,
            dump_version="15.18",
            format=BackupFormat.DIRECTORY,
            files={},
        ).model_copy(update=changes)


def make(case: BackupCase, store: BackupStore, name: str, hour: int, **changes: object) -> Backup:
    """Make one backup as backout does."""
    draft = store.draft(name)
    fill(draft, name)
    return store.publish(draft, name, case.manifest(hour, **changes))


def fill(draft: Path, name: str) -> None:
    """Write into a draft what looks like a dump."""
    (draft / "toc.dat").write_bytes(b"PGDMP" + name.encode())
    (draft / "1.dat").write_bytes(name.encode() * 1000)


def names(store: BackupStore) -> list[str]:
    """Return what is listed, in its order."""
    return [backup.name for backup in store.found(_DEADLINE_S)]


class BackupContract:
    """What every store keeps; a subclass provides the pytest fixture `case`."""

    def test_a_draft_is_not_listed_and_a_published_one_is(self, case: BackupCase) -> None:
        """Listed whole or not at all; another process sees the same."""
        store = case.store()
        assert names(store) == []
        draft = store.draft("one")
        assert list(draft.iterdir()) == []
        fill(draft, "one")
        assert names(case.store()) == []
        published = store.publish(draft, "one", case.manifest(1))
        assert case.store().found(_DEADLINE_S) == (published,)
        assert (published.name, published.by_backout, published.taken_at_by) == ("one", True, "manifest")
        assert published.taken_at == case.manifest(1).taken_at
        assert (Path(published.path) / "1.dat").read_bytes() == b"one" * 1000

    def test_the_manifest_comes_back_with_a_checksum_for_every_file(self, case: BackupCase) -> None:
        """What the manifest says stays said."""
        published = make(case, case.store(), "one", 1, release="5.3.0", rows={"public.reports": 7})
        found = case.store().found(_DEADLINE_S)[0].manifest
        assert found is not None and found == published.manifest
        assert (found.release, found.rows) == ("5.3.0", {"public.reports": 7})
        assert sorted(found.files) == ["1.dat", "toc.dat"]
        assert all(v.startswith("sha256:") and len(v) == 71 for v in found.files.values())

    def test_the_newest_comes_first(self, case: BackupCase) -> None:
        """By the time of the snapshot, not of the file."""
        store = case.store()
        for name, hour in (("b", 2), ("c", 9), ("a", 5)):
            make(case, store, name, hour)
        assert names(store) == ["c", "a", "b"]

    def test_an_identity_stays_until_the_data_changes(self, case: BackupCase) -> None:
        """Looking changes nothing."""
        published = make(case, case.store(), "one", 1)
        assert case.store().found(_DEADLINE_S)[0].identity == published.identity
        with (Path(published.path) / "1.dat").open("ab") as file:
            file.write(b"x")
        assert case.store().found(_DEADLINE_S)[0].identity != published.identity

    def test_publishing_twice_is_publishing_once(self, case: BackupCase) -> None:
        """As after a kill between the deed and the word."""
        store = case.store()
        draft = store.draft("one")
        fill(draft, "one")
        first = store.publish(draft, "one", case.manifest(1))
        assert case.store().publish(draft, "one", case.manifest(1)) == first

    def test_a_name_that_is_taken_is_refused(self, case: BackupCase) -> None:
        """And what has it stays as it is."""
        store = case.store()
        first = make(case, store, "one", 1)
        refused(lambda: store.draft("one"))
        draft = store.draft("two")
        fill(draft, "two")
        refused(lambda: store.publish(draft, "one", case.manifest(2)))
        assert store.found(_DEADLINE_S) == (first,)
        store.discard(draft)

    def test_discarding_is_idempotent_and_leaves_the_others(self, case: BackupCase) -> None:
        """A backup that failed leaves nothing."""
        store = case.store()
        kept, draft = store.draft("kept"), store.draft("one")
        fill(draft, "one")
        store.discard(draft)
        store.discard(draft)
        assert not draft.exists() and kept.is_dir()
        store.discard(kept)

    def test_a_draft_that_somebody_still_writes_is_left_alone(self, case: BackupCase) -> None:
        """Two at a time do not delete each other's work."""
        mine, other = case.store(), case.store()
        draft = mine.draft("one")
        fill(draft, "one")
        other.discard(other.draft("two"))
        other.rotate(0, ())
        mine.publish(draft, "one", case.manifest(1))
        assert names(other) == ["one"]

    def test_rotating_removes_the_oldest_and_never_a_pinned_one(self, case: BackupCase) -> None:
        """Idempotent; says what it removed."""
        store = case.store()
        for hour in range(5):
            make(case, store, f"b{hour}", hour)
        assert store.rotate(2, {"b1"}) == ("b0", "b2")
        assert store.rotate(2, {"b1"}) == ()
        assert names(store) == ["b4", "b3", "b1"]

    def test_what_is_not_this_services_is_neither_listed_nor_rotated(self, case: BackupCase) -> None:
        """Another service, or another environment, in the same place."""
        mine, stranger = case.store(), case.stranger()
        make(case, mine, "one", 1)
        assert names(stranger) == []
        assert stranger.rotate(0, ()) == ()
        assert names(mine) == ["one"]

    def test_killed_anywhere_a_backup_is_listed_whole_or_not_at_all(self, case: BackupCase) -> None:
        """Kill -9 at every fault point of making one; making it again works."""

        def act() -> None:
            make(case, case.store(), "one", 1)

        points = _points(act)
        assert points, "no fault point around an outside effect"
        case.store().rotate(0, ())
        for point in points:
            _killed_at(point, act)
            store = case.store()
            if names(store):
                assert (Path(store.found(_DEADLINE_S)[0].path) / "1.dat").stat().st_size == 3000
                assert store.rotate(0, ()) == ("one",)
            act()
            assert names(store) == ["one"], point
            store.rotate(0, ())

    def test_killed_while_rotating_nothing_is_left_in_halves(self, case: BackupCase) -> None:
        """Rotating again removes the rest."""
        store = case.store()
        make(case, store, "kept", 9)
        make(case, store, "old", 1)
        points = _points(lambda: list(case.store().rotate(1, ())))
        assert points, "no fault point around an outside effect"
        for point in points:
            make(case, store, f"old-{point}", 2)
            _killed_at(point, lambda: list(case.store().rotate(1, ())))
            for backup in store.found(_DEADLINE_S):
                assert (Path(backup.path) / "1.dat").is_file(), "listed in halves"
            store.rotate(1, ())
            assert names(store) == ["kept"]

    def test_a_place_that_is_away_is_an_error_never_an_empty_list(self, case: BackupCase) -> None:
        """Nobody must be told that there is no backup."""
        store = case.store()
        make(case, store, "one", 1)
        assert [line.subject for line in store.doctor() if line.ok is not True] == []
        case.away()
        refused(lambda: store.found(_DEADLINE_S))
        red = [line for line in store.doctor() if line.ok is not True]
        assert red, "doctor is green about a place that is away"
        assert all(line.remedy for line in red)


def refused(act: Callable[[], object]) -> None:
    """Assert that it is refused in words."""
    try:
        act()
    except BackoutError as error:
        assert str(error.what) and str(error.state) and error.next_command
    else:
        raise AssertionError("it was not refused")


def _points(act: Callable[[], object]) -> list[str]:
    """Return the fault points that it passes, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "points"
        status = _forked(act, {"BACKOUT_FAULT_LOG": str(log)})
        assert status == 0, f"it ended with {status}"
        return log.read_text().split() if log.exists() else []


def _killed_at(point: str, act: Callable[[], object]) -> None:
    status = _forked(act, {"BACKOUT_FAULT": point})
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"not killed at {point}"


def _forked(act: Callable[[], object], environ: dict[str, str]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.environ.update(environ)
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1]

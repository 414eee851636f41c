"""Schemas and quarantines at the target too: what counts where, and what happens when the target is silent."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backout.clock import SystemClock
from backout.errors import TargetUnreachable
from backout.execute.journal import Journal
from backout.execute.releases import ReleaseBook
from backout.execute.store import Store
from backout.message import msg
from backout.redact import Redactor
from backout.release import Quarantine, Release, ReleaseState
from backout.schema import Schema
from backout.testing.grounds import check_grounds_store

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCHEMA = Schema(objects={"type public.kind": "enum"})


class Shelf:
    """A store in memory that keeps what the contract asks for, and can be out of reach."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}
        self.entries: dict[str, Quarantine] = {}
        self.reachable, self.reads = True, 0

    def read_schemas(self, fingerprints: Collection[str]) -> tuple[Schema, ...]:
        self._answer()
        return tuple(s for f, s in self.schemas.items() if f in fingerprints)

    def write_schema(self, schema: Schema) -> None:
        self._answer()
        self.schemas[schema.fingerprint] = schema

    def read_quarantines(self) -> tuple[Quarantine, ...]:
        self._answer()
        return tuple(self.entries.values())

    def write_quarantine(self, entry: Quarantine) -> None:
        self._answer()
        self.entries[entry.version] = entry

    def lift_quarantine(self, version: str) -> None:
        self._answer()
        self.entries.pop(version, None)

    def _answer(self) -> None:
        self.reads += 1
        if not self.reachable:
            raise TargetUnreachable(msg("gone"), state=msg("unknown"), next_command="backout")


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def books(tmp_path: Path, shelf: Shelf) -> Iterator[tuple[ReleaseBook, ReleaseBook]]:
    """The books of two machines with one target."""
    stores = [Store(tmp_path / name) for name in ("a", "b")]
    redactor = Redactor()
    redactor.add("hunter22")
    made = [ReleaseBook(s, Journal(s, SystemClock(), "ops@here", redactor), None, shelf) for s in stores]
    yield made[0], made[1]
    for store in stores:
        store.close()


def entry(version: str) -> Quarantine:
    return Quarantine(version=version, reason="said hunter22", since=NOW)


def test_the_shelf_keeps_the_contract(shelf: Shelf) -> None:
    check_grounds_store(lambda: shelf)


def test_a_schema_recorded_on_one_machine_is_known_on_the_other_and_asked_for_once(
    books: tuple[ReleaseBook, ReleaseBook], shelf: Shelf
) -> None:
    here, there = books
    release = Release(id="rel-1", service="shop", environment="production", version="1.0.0", deployed_at=NOW)
    here.record(release, SCHEMA)
    wanted = {SCHEMA.fingerprint}
    assert there.schemas(wanted) == {SCHEMA.fingerprint: SCHEMA}
    reads = shelf.reads
    assert there.schemas(wanted) == {SCHEMA.fingerprint: SCHEMA}
    assert shelf.reads == reads
    shelf.reachable = False
    assert there.schemas({"sha256:unheard-of"}) == {}


def test_a_quarantine_counts_on_every_machine_until_it_is_lifted_on_any(
    books: tuple[ReleaseBook, ReleaseBook], shelf: Shelf
) -> None:
    here, there = books
    here.quarantine(entry("2.0.0"), ReleaseState.BAD, "run-1")
    assert there.is_quarantined("2.0.0")
    assert shelf.entries["2.0.0"].reason == "said ***"
    there.lift("2.0.0", None, None)
    assert not here.is_quarantined("2.0.0")


def test_a_silent_target_leaves_what_is_known_here(
    books: tuple[ReleaseBook, ReleaseBook], shelf: Shelf
) -> None:
    here, _ = books
    here.quarantine(entry("2.0.0"), ReleaseState.BAD, "run-1")
    shelf.reachable = False
    assert here.is_quarantined("2.0.0")


def test_a_quarantine_that_did_not_get_across_is_not_done(
    books: tuple[ReleaseBook, ReleaseBook], shelf: Shelf
) -> None:
    here, _ = books
    shelf.reachable = False
    with pytest.raises(TargetUnreachable):
        here.quarantine(entry("2.0.0"), ReleaseState.BAD, "run-1")
    shelf.reachable = True
    assert not here.quarantine_stands("2.0.0", quarantined=True)
    here.quarantine(entry("2.0.0"), ReleaseState.BAD, "run-1")
    assert here.quarantine_stands("2.0.0", quarantined=True)

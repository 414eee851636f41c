"""The release book: what undoing a quarantine puts back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backout.clock import SystemClock
from backout.execute.journal import Journal
from backout.execute.releases import ReleaseBook
from backout.execute.store import Store
from backout.facts import Facts
from backout.observed import Observed, Workload
from backout.plan.base import Acting
from backout.plan.model import StepSpec
from backout.plan.quarantining import lift_spec, quarantine_spec
from backout.redact import Redactor
from backout.release import Artefact, Quarantine, Release, ReleaseState
from backout.schema import Schema
from backout.steps import generic_step_kinds
from backout.testing.steps import OpenFence

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KINDS = generic_step_kinds()


def release(version: str, state: ReleaseState) -> Release:
    return Release(
        id=f"rel-{version}",
        service="shop",
        environment="production",
        version=version,
        deployed_at=NOW,
        artefact=Artefact(ref=version),
        served_well=("sha256:1",),
        state=state,
    )


class Places:
    """A state file and records at the target, both real."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.at_target: dict[str, Release] = {}
        self.book = ReleaseBook(self.store, Journal(self.store, SystemClock(), "ops@here", Redactor()), self)

    def read_records(self) -> tuple[Release, ...]:
        return tuple(self.at_target.values())

    def write_record(self, release: Release) -> None:
        self.at_target[release.id] = release

    def facts(self) -> Facts:
        return Facts(
            observed_at=NOW,
            service="shop",
            environment="production",
            platform="process",
            workload=Observed[Workload](source="test", observed_at=NOW),
            available=Observed[tuple[Artefact, ...]](source="test", observed_at=NOW),
            schema_now=Observed[Schema](source="test", observed_at=NOW),
            releases=self.book.newest(),
            quarantined=self.book.quarantined(),
        )

    def do(self, spec: StepSpec | None) -> None:
        assert spec is not None
        # A plan is written down and read again before it runs.
        spec = StepSpec.model_validate_json(spec.model_dump_json())
        acting = Acting(
            targets={"records": self.book},
            clock=SystemClock(),
            fence=OpenFence(1),
            step_name="run-1/02-quarantine",
            deadline_s=0,
        )
        KINDS[spec.kind].apply(spec, acting)
        KINDS[spec.kind].apply(spec, acting)  # Idempotent.
        assert KINDS[spec.kind].probe(spec, acting).answer.value == "done"

    def stands(self) -> tuple[object, ...]:
        return self.book.newest(), self.book.quarantined(), dict(self.at_target)


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    made = Places(tmp_path)
    yield made
    made.store.close()


@pytest.mark.parametrize("state", list(ReleaseState))
def test_an_undone_quarantine_leaves_the_record_as_it_was(places: Places, state: ReleaseState) -> None:
    places.book.record(release("5.4.0", state))
    before = places.stands()
    spec = quarantine_spec(places.facts(), "5.4.0", "5.3.0")
    places.do(spec)
    assert places.book.is_quarantined("5.4.0")
    assert [r.state for r in places.read_records()] == [ReleaseState.BAD]
    places.do(KINDS["quarantine"].inverse(spec))
    assert places.stands() == before


@pytest.mark.parametrize("state", list(ReleaseState))
def test_an_undone_lift_puts_the_entry_and_the_record_back(places: Places, state: ReleaseState) -> None:
    entry = Quarantine(version="5.3.0", reason="backed out to 5.2.0", since=NOW, run="run-0")
    places.book.record(release("5.3.0", ReleaseState.UNKNOWN))
    places.book.quarantine(entry, state, "run-0")
    before = places.stands()
    spec = lift_spec(places.facts(), entry)
    places.do(spec)
    assert not places.book.quarantined()
    assert [r.state for r in places.read_records()] == [ReleaseState.UNKNOWN]
    places.do(KINDS["quarantine.lift"].inverse(spec))
    assert places.stands() == before


def test_a_version_without_a_record_gets_none(places: Places) -> None:
    spec = quarantine_spec(places.facts(), "5.4.0", "5.3.0")
    places.do(spec)
    places.do(KINDS["quarantine"].inverse(spec))
    assert places.stands() == ((), (), {})


def test_a_plan_from_before_the_states_were_named_is_undone_as_it_was_then(places: Places) -> None:
    places.book.record(release("5.4.0", ReleaseState.GOOD))
    old = StepSpec(kind="quarantine", target="records", params={"version": "5.4.0", "reason": "errors"})
    places.do(old)
    places.do(KINDS["quarantine"].inverse(old))
    assert [r.state for r in places.read_records()] == [ReleaseState.UNKNOWN]

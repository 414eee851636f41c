"""Runs at the target too: what goes there, what comes from there, and who may no longer write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from backout.clock import SystemClock
from backout.errors import LeaseLost, TargetUnreachable
from backout.execute.journal import Journal
from backout.execute.mirror import Mirror, lacking, told
from backout.execute.store import Store
from backout.message import msg
from backout.platforms.keeping import RunEvent
from backout.redact import Redactor
from backout.testing.runs import check_run_store, event_of

RUN = "run-1"


class Shelf:
    """A store in memory that keeps what the contract asks for, and can be out of reach."""

    def __init__(self, runs: dict[str, list[RunEvent]]) -> None:
        self.runs, self.reachable, self.asked = runs, True, 0

    def heads(self, patience_s: float) -> Mapping[str, str]:
        self._answer()
        return {run: events[-1].identity for run, events in self.runs.items()}

    def read(self, run: str, patience_s: float) -> tuple[RunEvent, ...]:
        self._answer()
        return tuple(self.runs.get(run, ()))

    def append(self, run: str, events: Sequence[RunEvent], *, after: str | None, patience_s: float) -> bool:
        self._answer()
        there = self.runs.get(run, [])
        if (there[-1].identity if there else None) != after:
            return False
        self.runs[run] = [*there, *events]
        return True

    def _answer(self) -> None:
        self.asked += 1
        if not self.reachable:
            raise TargetUnreachable(msg("gone"), state=msg("unknown"), next_command="backout")


Machine = Callable[..., tuple[Journal, Mirror, Shelf]]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Makes a journal of a machine's own, on the one shelf of all."""
    runs: dict[str, list[RunEvent]] = {}
    opened: list[Store] = []

    def made(name: str, *, needed: bool = True) -> tuple[Journal, Mirror, Shelf]:
        shelf = Shelf(runs)
        mirror = Mirror(shelf, SystemClock(), needed=needed)
        store = Store(tmp_path / name)
        opened.append(store)
        redactor = Redactor()
        redactor.add("hunter22")
        return Journal(store, SystemClock(), f"ops@{name}", redactor, mirror), mirror, shelf

    yield made
    for store in opened:
        with closing(store):
            pass


def kinds(journal: Journal) -> list[str]:
    return [e.kind.partition(".")[2] for e in journal.events(RUN)]


def test_the_shelf_keeps_the_contract() -> None:
    runs: dict[str, list[RunEvent]] = {}
    check_run_store(lambda: Shelf(runs))


def test_what_is_journalled_of_a_run_is_at_the_target_without_secrets(machine: Machine) -> None:
    journal, _, shelf = machine("a")
    journal.append("release.recorded", {})
    journal.append("run.created", {"reason": "hunter22"}, run=RUN, generation=1)
    journal.append("run.started", {}, run=RUN, generation=1)
    assert [(e.kind, e.actor) for e in shelf.runs[RUN]] == [
        ("run.created", "ops@a"), ("run.started", "ops@a"),
    ]  # fmt: skip
    assert shelf.runs[RUN][0].body == {"reason": "***"}


def test_another_machine_gets_it_once_and_goes_on(machine: Machine) -> None:
    (a, _, _), (b, mirror, _) = machine("a"), machine("b")
    a.append("run.created", {}, run=RUN, generation=1)
    a.append("step.begun", {}, run=RUN, generation=1)
    assert (mirror.receive(b), mirror.receive(b)) == (1, 0)
    b.append("run.resumed", {}, run=RUN, generation=2)
    assert kinds(b) == ["created", "begun", "resumed"]
    assert b.verify(b.head()) == 3


def test_who_was_taken_over_writes_nothing_more_there_and_learns_what_followed(machine: Machine) -> None:
    (a, mirror, shelf), (b, other, _) = machine("a"), machine("b")
    a.append("run.created", {}, run=RUN, generation=1)
    other.receive(b)
    b.append("run.resumed", {}, run=RUN, generation=2)
    with pytest.raises(LeaseLost, match="ops@b"):
        a.append("step.begun", {}, run=RUN, generation=1)
    a.append(
        "run.stopped", {}, run=RUN, generation=1
    )  # It tells its own journal how it ended, and nobody else.
    assert [e.kind for e in shelf.runs[RUN]] == ["run.created", "run.resumed"]
    b.append("run.finished", {}, run=RUN, generation=2)
    assert mirror.receive(a) == 1
    assert kinds(a) == ["created", "begun", "stopped", "resumed", "finished"]
    assert mirror.receive(a) == 0
    a.send(RUN)
    assert [e.kind for e in shelf.runs[RUN]][-1] == "run.finished"


def test_a_run_does_not_go_on_where_the_target_cannot_be_written(machine: Machine) -> None:
    journal, _, shelf = machine("a")
    journal.append("run.created", {}, run=RUN, generation=1)
    shelf.reachable = False
    with pytest.raises(TargetUnreachable):
        journal.append("step.begun", {}, run=RUN, generation=1)
    journal.append("step.failed", {}, run=RUN, generation=1)
    journal.append("run.stopped", {}, run=RUN, generation=1)
    shelf.reachable = True
    journal.append("run.resumed", {}, run=RUN, generation=2)
    assert [told(e) for e in journal.events(RUN)] == shelf.runs[RUN]
    assert kinds(journal) == ["created", "begun", "failed", "stopped", "resumed"]


def test_an_emergency_goes_on_and_asks_no_more(machine: Machine) -> None:
    journal, _, shelf = machine("a", needed=False)
    shelf.reachable = False
    for kind in ("run.created", "run.started", "step.begun"):
        journal.append(kind, {}, run=RUN, generation=1)
    assert kinds(journal) == ["created", "started", "begun"]
    assert shelf.asked == 1


def test_what_stops_harm_goes_on_too_and_other_runs_do_not(machine: Machine) -> None:
    journal, mirror, shelf = machine("a")
    shelf.reachable = False
    mirror.not_needed_for(RUN)
    for kind in ("run.created", "run.started"):
        journal.append(kind, {}, run=RUN, generation=1)
    assert shelf.asked == 1
    with pytest.raises(TargetUnreachable):
        journal.append("run.created", {}, run="run-2", generation=2)


def test_an_end_that_did_not_get_across_is_brought_later(machine: Machine) -> None:
    journal, _, shelf = machine("a")
    journal.append("run.created", {}, run=RUN, generation=1)
    shelf.reachable = False
    with pytest.raises(TargetUnreachable):
        journal.append("run.finished", {}, run=RUN, generation=1)
    shelf.reachable = True
    journal.send(RUN)
    journal.send(RUN)
    assert [e.kind for e in shelf.runs[RUN]] == ["run.created", "run.finished"]


def test_an_end_that_a_kill_kept_from_the_target_is_brought_by_whoever_acts_next(
    machine: Machine,
) -> None:
    journal, _, shelf = machine("a")
    journal.append("run.created", {}, run=RUN, generation=1)
    shelf.reachable = False
    with pytest.raises(TargetUnreachable):
        journal.append("run.finished", {}, run=RUN, generation=1)
    again, mirror, shelf = machine("a")
    assert mirror.receive(again) == 0
    mirror.catch_up(again)
    mirror.catch_up(again)
    assert [e.kind for e in shelf.runs[RUN]] == ["run.created", "run.finished"]


def test_looks_are_not_repeated_at_once(machine: Machine) -> None:
    journal, mirror, shelf = machine("a")
    assert mirror.receive(journal) == 0
    asked = shelf.asked
    assert mirror.receive(journal, at_once=False) == 0
    assert shelf.asked == asked


def test_an_older_owners_leftovers_stay_where_they_are() -> None:
    created = event_of(RUN, 0)
    late, neutral = event_of(RUN, 1), event_of(RUN, 2, generation=0)
    newer = event_of(RUN, 3, generation=2)
    assert lacking([created, newer], [created, late, neutral]) == []
    assert lacking([created], [created, late, neutral]) == [late, neutral]
    assert lacking([created, late], [created, newer]) == [newer]
    assert lacking([], []) == []


def test_an_event_is_the_same_on_every_machine() -> None:
    one = event_of(RUN, 1)
    assert RunEvent.model_validate_json(one.model_dump_json()).identity == one.identity
    assert one.identity != event_of(RUN, 2).identity

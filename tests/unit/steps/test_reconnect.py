"""After a swap the service reaches its database again: by itself, or it is restarted and waited for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from backout.document import Json
from backout.errors import StepFailed
from backout.plan.base import Acting, Probed, Receipt
from backout.plan.model import StepSpec
from backout.steps import generic_step_kinds
from backout.testing.steps import acting_on

KIND = generic_step_kinds()["service.reconnect"]


def spec(restart: list[Json]) -> StepSpec:
    params: dict[str, Json] = {"version": "5.5.0", "within_s": 10.0, "restart": restart}
    return StepSpec(kind="service.reconnect", target="service", params=params, timeout_s=5.0)


class Ticks:
    """A clock that moves only when somebody waits."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=self.at_s)

    def monotonic_s(self) -> float:
        return self.at_s

    def wait(self, seconds: float) -> None:
        self.at_s += seconds


class Running:
    """A service that answers what it is told to, one answer after the other; the last one for ever."""

    def __init__(self, *answers: bool | None, after_restart: tuple[bool | None, ...] = (True,)) -> None:
        self._answers, self._after = self._say(answers), after_restart
        self.restarted: list[str] = []

    @staticmethod
    def _say(answers: tuple[bool | None, ...]) -> Iterator[bool | None]:
        yield from answers
        while True:
            yield answers[-1]

    def reaches_database(self, deadline_s: float) -> bool | None:
        return next(self._answers)

    def carry_out(self, spec: StepSpec, acting: Acting) -> None:
        self.restarted.append(spec.kind)
        self._answers = self._say(self._after)


RESTART: list[Json] = [
    StepSpec(kind=k, target="platform").model_dump(mode="json") for k in ("acme.stop", "acme.start")
]


def reconnect(service: Running, restart: list[Json]) -> tuple[Receipt, Ticks]:
    clock = Ticks()
    step = spec(restart)
    acting = acting_on({"service": service}, clock=clock)
    return KIND.apply(step, acting), clock


def test_a_service_that_reconnects_by_itself_is_not_restarted() -> None:
    service = Running(False, False, True)
    _, clock = reconnect(service, RESTART)
    assert service.restarted == [] and clock.at_s < 1


def test_one_that_does_not_is_restarted_after_its_time_and_waited_for() -> None:
    service = Running(False, after_restart=(False, False, True))
    receipt, clock = reconnect(service, RESTART)
    assert service.restarted == ["acme.stop", "acme.start"]
    assert 10 <= clock.at_s < 11
    assert "restarted" in str(receipt.what)
    assert service.reaches_database(1.0)  # else the step would be seen as failed while the service comes up


def test_one_that_nothing_can_restart_stops_the_run_and_says_what_a_person_does() -> None:
    with pytest.raises(StepFailed, match="cannot restart it") as raised:
        reconnect(Running(False), [])
    assert "restored database is live" in str(raised.value.state)


def test_where_no_check_tells_it_is_restarted_if_that_can_be_done_else_left_to_the_proof() -> None:
    service = Running(None, after_restart=(None,))
    reconnect(service, RESTART)
    assert service.restarted
    receipt, _ = reconnect(Running(None), [])
    assert "the proof will" in str(receipt.what)


@pytest.mark.parametrize(
    ("says", "answer"), [(True, Probed.DONE), (False, Probed.NOT_DONE), (None, Probed.NOT_DONE)]
)
def test_whether_it_reaches_its_database_is_asked_of_the_service(says: bool | None, answer: Probed) -> None:
    step = spec([])
    assert KIND.probe(step, acting_on({"service": Running(says)})).answer is answer


def test_after_a_switch_it_is_restarted_at_once_however_well_it_looks() -> None:
    service = Running(True, after_restart=(False, True))
    step = spec(RESTART)
    step = step.model_copy(update={"params": step.params | {"at_once": True}})
    acting = acting_on({"service": service}, clock=Ticks())
    assert KIND.probe(step, acting).answer is Probed.NOT_DONE
    receipt = KIND.apply(step, acting)
    assert service.restarted == ["acme.stop", "acme.start"]
    confirmed = dataclasses.replace(acting, confirmed={"step": receipt})
    assert KIND.probe(step, confirmed).answer is Probed.DONE

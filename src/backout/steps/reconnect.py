"""After a swap the service reaches its database again: by itself, or it is restarted."""

from __future__ import annotations

import dataclasses
from typing import Protocol, runtime_checkable

from backout.errors import StepFailed
from backout.faults import fault_point
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec

_POLL_S = 0.1
_ASK_S = 3.0


@runtime_checkable
class Service(Protocol):
    """The running service, as far as its connection to the database goes."""

    def reaches_database(self, deadline_s: float) -> bool | None:
        """Return whether the service says that it reaches its database; None: no check tells."""
        ...

    def carry_out(self, spec: StepSpec, acting: Acting) -> None:
        """Carry one of the platform's own steps out, to its end."""
        ...


class Reconnect:
    """`service.reconnect`: the service reaches its database; it is restarted where it does not by itself.

    Waiting only asks; its one outside effect is the restart, by steps of the platform with fault points of their own.
    """

    kind = "service.reconnect"

    def describe(self, spec: StepSpec) -> Message:
        """Say how long it may take."""
        if _at_once(spec):
            return msg(
                "Restart {version}, and wait until it reaches its database.",
                version=str(spec.params["version"]),
            )
        return msg(
            "Wait until {version} reaches its database again; restart it after {seconds} s.",
            version=str(spec.params["version"]),
            seconds=_number(spec, "within_s"),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would do."""
        if _at_once(spec):
            return ("# restart the service, and ask its health until it says that the database is connected",)
        return ("# ask the service's health; if it does not say that the database is connected, restart it",)

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("The service does not come back, also after a restart."),
                then=msg("The run stops; abort swaps the old database in again, where one was kept."),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """The same release serves; until it reaches its database, and while it restarts, nothing does."""
        return (dataclasses.replace(world, serving=frozenset()), world)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Return None: an abort puts this very step behind the swap back (`plan.abort`)."""
        return None

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask the service, once; one that has to be restarted is done when this run has restarted it."""
        key = acting.step_name.rpartition("/")[2]
        if _at_once(spec) and key not in acting.confirmed:
            return Probe(answer=Probed.NOT_DONE, evidence=msg("The service was not restarted yet."))
        reaches = acting.target("service", Service).reaches_database(_ASK_S)
        if reaches is None:
            if key in acting.confirmed:
                return Probe(answer=Probed.DONE, evidence=acting.confirmed[key].what)
            return Probe(
                answer=Probed.NOT_DONE, evidence=msg("No check tells whether the database is reached.")
            )
        if reaches:
            return Probe(answer=Probed.DONE, evidence=msg("The service reaches its database."))
        return Probe(answer=Probed.NOT_DONE, evidence=msg("The service does not reach its database yet."))

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Expect nothing."""

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Wait for it, then restart; raises `StepFailed` where nothing can restart it."""
        service = acting.target("service", Service)
        restart = [StepSpec.model_validate(s) for s in _restart(spec)]
        within_s = _number(spec, "within_s")
        if not _at_once(spec):
            reaches = _wait(service, acting, within_s)
            if reaches or not restart:
                return _as_it_is(reaches)
            acting.note(msg("The service does not reach its database by itself: it is restarted."))
        for step in restart:
            acting.fence.check()
            fault_point("reconnect.restart.before")
            service.carry_out(step, acting)
            fault_point("reconnect.restart.after")
        _wait(service, acting, within_s)
        return Receipt(what=msg("The service was restarted."))


def _as_it_is(reaches: bool | None) -> Receipt:
    """Return what is known of a service that is not restarted; raises `StepFailed` where it does not reach its database."""
    if reaches:
        return Receipt(what=msg("The service reached its database again by itself."))
    if reaches is None:
        return Receipt(what=msg("No check tells whether the service reaches its database; the proof will."))
    raise StepFailed(
        msg("The service does not reach its database, and this platform cannot restart it."),
        state=msg("The restored database is live and takes connections."),
        next_command="backout resume   # after restarting the service by hand",
    )


def _at_once(spec: StepSpec) -> bool:
    return spec.params.get("at_once") is True


def _wait(service: Service, acting: Acting, within_s: float) -> bool | None:
    """Return whether the service reaches its database; asks again for so long while it says no."""
    until_s = acting.clock.monotonic_s() + within_s
    reaches = service.reaches_database(_ASK_S)
    while reaches is False and acting.clock.monotonic_s() < until_s:
        acting.clock.wait(_POLL_S)
        reaches = service.reaches_database(_ASK_S)
    return reaches


def _number(spec: StepSpec, name: str) -> float:
    value = spec.params[name]
    assert isinstance(value, int | float)
    return float(value)


def _restart(spec: StepSpec) -> list[object]:
    value = spec.params["restart"]
    assert isinstance(value, list)
    return list(value)

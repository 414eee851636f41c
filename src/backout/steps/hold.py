"""Holding and letting go, by whatever means are configured; and the proof that no write arrives."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple, Protocol, runtime_checkable

from backout.errors import LeaseLost, StepFailed
from backout.facts import Answer
from backout.faults import fault_point
from backout.holds.base import HoldMeans
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.steps.looking import LookingStep

KEEPS_REQUESTS_AWAY = ("queue", "maintenance")
_PROBE_DEADLINE_S = 5.0


def hold_spec(name: str, mode: str, prior: dict[str, object], timeout_s: float = 30.0) -> StepSpec:
    """Return the step that holds by a means; `prior` is what letting go puts back."""
    return StepSpec.model_validate(
        {
            "kind": "hold",
            "target": f"hold:{name}",
            "params": {"name": name, "mode": mode, "prior": prior},
            "timeout_s": timeout_s,
        }
    )


class _HoldStep:
    """What holding and letting go share."""

    def _means(self, spec: StepSpec, acting: Acting) -> HoldMeans:
        return acting.target(spec.target, HoldMeans)  # type: ignore[type-abstract]

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Expect nothing: both directions are absolute."""


class Hold(_HoldStep):
    """`hold`: one means keeps requests or writes away."""

    kind = "hold"

    def describe(self, spec: StepSpec) -> Message:
        """Say what is held, and how."""
        templates = {
            "queue": msg(
                "Hold traffic at {name}: requests wait, none is refused.", name=str(spec.params["name"])
            ),
            "maintenance": msg(
                "Stop traffic at {name}: requests are answered 503.", name=str(spec.params["name"])
            ),
            "refuse_writes": msg("Make {name} refuse writes.", name=str(spec.params["name"])),
        }
        mode = str(spec.params["mode"])
        return templates.get(mode, msg("Suspend {name}.", name=str(spec.params["name"])))

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the tool's own command; the runbook asks the means for theirs."""
        return ("backout hold",)

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg(
                    "{name} does not answer, or requests do not drain in time.", name=str(spec.params["name"])
                ),
                then=msg("The run stops before anything else is changed; resume tries again, abort lets go."),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Requests no longer reach any version, for the modes that keep them away."""
        if spec.params["mode"] not in KEEPS_REQUESTS_AWAY:
            return (world,)
        return (world, dataclasses.replace(world, holds=world.holds | {str(spec.params["name"])}))

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Letting go."""
        return spec.model_copy(update={"kind": "hold.release"})

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask the means whether this mode is in force."""
        fact = self._means(spec, acting).observe(_PROBE_DEADLINE_S)
        if fact.held is Answer.UNKNOWN:
            return Probe(answer=Probed.UNKNOWN, evidence=msg("{name} does not answer.", name=fact.name))
        if fact.held is Answer.YES and fact.mode == spec.params["mode"]:
            return Probe(
                answer=Probed.DONE, evidence=msg("{name} holds ({mode}).", name=fact.name, mode=fact.mode)
            )
        return Probe(
            answer=Probed.NOT_DONE,
            evidence=msg("{name} does not hold ({mode}).", name=fact.name, mode=fact.mode),
        )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Hold."""
        means, mode = self._means(spec, acting), str(spec.params["mode"])
        acting.fence.check()
        fault_point(f"hold.{means.name}.before")
        means.hold(mode)
        fault_point(f"hold.{means.name}.after")
        _still_ours(acting, msg("{name} holds ({mode}) by this process.", name=means.name, mode=mode))
        return Receipt(what=msg("{name} holds ({mode}).", name=means.name, mode=mode))


class ReleaseHold(_HoldStep):
    """`hold.release`: one means lets through again, exactly as before."""

    kind = "hold.release"

    def describe(self, spec: StepSpec) -> Message:
        """Say what is let go."""
        return msg("Let traffic and writes through again at {name}.", name=str(spec.params["name"]))

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the tool's own command; the runbook asks the means for theirs."""
        return ("backout release-hold",)

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("{name} does not answer.", name=str(spec.params["name"])),
                then=msg("Requests stay held and the run stops; resume tries again as soon as it answers."),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Requests reach the serving versions again."""
        if spec.params["mode"] not in KEEPS_REQUESTS_AWAY:
            return (world,)
        return (world, dataclasses.replace(world, holds=world.holds - {str(spec.params["name"])}))

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Holding."""
        return spec.model_copy(update={"kind": "hold"})

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask the means whether nothing is held any more."""
        fact = self._means(spec, acting).observe(_PROBE_DEADLINE_S)
        if fact.held is Answer.UNKNOWN:
            return Probe(answer=Probed.UNKNOWN, evidence=msg("{name} does not answer.", name=fact.name))
        if fact.held is Answer.NO:
            return Probe(answer=Probed.DONE, evidence=msg("{name} lets through.", name=fact.name))
        return Probe(
            answer=Probed.NOT_DONE,
            evidence=msg("{name} still holds ({mode}).", name=fact.name, mode=fact.mode),
        )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Let go."""
        means, prior = self._means(spec, acting), spec.params["prior"]
        assert isinstance(prior, dict)
        acting.fence.check()
        fault_point(f"release.{means.name}.before")
        means.release(prior)
        fault_point(f"release.{means.name}.after")
        _still_ours(acting, msg("{name} lets through by this process.", name=means.name))
        return Receipt(what=msg("{name} lets through.", name=means.name))


def _still_ours(acting: Acting, did: Message) -> None:
    """Look again after the effect: a means compares no fencing token, and this process may have slept before it.

    Raises:
        LeaseLost: Somebody took over meanwhile, and may not expect what was done.
    """
    try:
        acting.fence.check()
    except LeaseLost as lost:
        raise LeaseLost(
            lost.what,
            state=msg("{did} The other one may not expect that; backout release-hold lets go.", did=str(did)),
            next_command="backout",
        ) from lost


class Writers(NamedTuple):
    """Who has written and not committed yet.

    Attributes:
        names: As people read them: pid and role of a session, name of a prepared transaction.
        hidden: Roles whose sessions cannot be looked into: they may be writing too.
    """

    names: tuple[str, ...]
    hidden: tuple[str, ...] = ()


@runtime_checkable
class CountsWrites(Protocol):
    """A database that can tell how many rows were written, and who is about to write more."""

    def write_count(self, deadline_s: float) -> int:
        """Return the rows written since its statistics began."""
        ...

    def writers(self, deadline_s: float) -> Writers:
        """Return who wrote in a transaction that is still open: no count has its rows yet."""
        ...


class NoWrites(LookingStep):
    """`hold.proof`: no write arrived for a while."""

    kind = "hold.proof"

    def describe(self, spec: StepSpec) -> Message:
        """Say how long it looks."""
        return msg("Prove that no write arrives for {seconds} s.", seconds=_seconds(spec))

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the query to run twice."""
        query = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
        return (f'psql "$DATABASE_URL" -c "{query}"   # twice, {_seconds(spec)} s apart: the same number',)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Count twice; raises `StepFailed` when rows were still written at the end of the time allowed."""
        database = acting.target("database", CountsWrites)  # type: ignore[type-abstract]
        written = 0
        while True:
            before = database.write_count(_PROBE_DEADLINE_S)
            acting.clock.wait(_seconds(spec))
            written = database.write_count(_PROBE_DEADLINE_S) - before
            if written == 0:
                return Receipt(what=msg("No row was written for {seconds} s.", seconds=_seconds(spec)))
            if acting.clock.monotonic_s() + _seconds(spec) >= acting.deadline_s:
                break
            acting.note(
                msg(
                    "{rows} rows were written in {seconds} s; looking again.",
                    rows=written,
                    seconds=_seconds(spec),
                )
            )
        raise StepFailed(
            msg("Writes still arrive: {rows} rows in {seconds} s.", rows=written, seconds=_seconds(spec)),
            state=msg(
                "Everything configured holds, and yet something writes (a superuser, a job, another database user)."
            ),
            next_command="psql \"$DATABASE_URL\" -c 'SELECT pid, usename, application_name, query FROM pg_stat_activity'",
        )


def _seconds(spec: StepSpec) -> float:
    value = spec.params["window_s"]
    assert isinstance(value, int | float)
    return float(value)

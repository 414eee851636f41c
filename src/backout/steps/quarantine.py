"""The bad release is put where nobody brings it back by accident.

Params of both steps: `version`, `reason`; `quarantined_as` and `lifted_as`, the states that the release gets (null:
none is recorded); `since` and `run`, where an entry is put back as it stood.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from backout.faults import fault_point
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.release import Quarantine as Entry
from backout.release import ReleaseState


@runtime_checkable
class QuarantineBook(Protocol):
    """Keeps which versions are quarantined, at every place that keeps release records."""

    def quarantine_stands(self, version: str, *, quarantined: bool) -> bool:
        """Return whether every place says that the version is (or is not) quarantined."""
        ...

    def quarantine(self, entry: Entry, state: ReleaseState, run: str) -> None:
        """Quarantine a version and set the state of its release. Idempotent."""
        ...

    def lift(self, version: str, state: ReleaseState | None, run: str) -> None:
        """End a quarantine and set the state of its release; None leaves it. Idempotent."""
        ...


class _QuarantineStep:
    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return nothing: it is a note."""
        return ()

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Return the world as it is: nothing acts on it."""
        return (world,)

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Expect nothing."""

    def _book(self, acting: Acting) -> QuarantineBook:
        return acting.target("records", QuarantineBook)

    def _answer(self, done: bool, version: str) -> Probe:
        evidence = (
            msg("{version}: quarantined as wanted.", version=version)
            if done
            else msg("{version}: not yet.", version=version)
        )
        return Probe(answer=Probed.DONE if done else Probed.NOT_DONE, evidence=evidence)


class Quarantine(_QuarantineStep):
    """`quarantine`: a version must be named to come back."""

    kind = "quarantine"

    def describe(self, spec: StepSpec) -> Message:
        """Say which."""
        return msg(
            "Quarantine {version}, so that nobody brings it back by accident.",
            version=str(spec.params["version"]),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would do."""
        return (f"# stop pipelines that would deploy {spec.params['version']} again, and tell the team",)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Lifting it."""
        return spec.model_copy(update={"kind": "quarantine.lift"})

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look into the records."""
        version = str(spec.params["version"])
        return self._answer(self._book(acting).quarantine_stands(version, quarantined=True), version)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Quarantine."""
        version, run = str(spec.params["version"]), acting.step_name.partition("/")[0]
        entry = {"version": version, "reason": spec.params["reason"], "run": run, "since": acting.clock.now()}
        stood = {key: spec.params[key] for key in ("since", "run") if key in spec.params}
        acting.fence.check()
        fault_point("quarantine.before")
        self._book(acting).quarantine(
            Entry.model_validate(entry | stood),
            _state(spec, "quarantined_as", ReleaseState.BAD) or ReleaseState.BAD,
            run,
        )
        fault_point("quarantine.after")
        return Receipt(what=msg("{version} is quarantined.", version=version))


class Unquarantine(_QuarantineStep):
    """`quarantine.lift`: a version may come back."""

    kind = "quarantine.lift"

    def describe(self, spec: StepSpec) -> Message:
        """Say which."""
        return msg("End the quarantine of {version}.", version=str(spec.params["version"]))

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would do."""
        return (f"# {spec.params['version']} may be deployed again",)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Quarantining it."""
        return spec.model_copy(update={"kind": "quarantine"})

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look into the records."""
        version = str(spec.params["version"])
        return self._answer(self._book(acting).quarantine_stands(version, quarantined=False), version)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Lift it."""
        version = str(spec.params["version"])
        acting.fence.check()
        fault_point("quarantine.lift.before")
        state = _state(spec, "lifted_as", ReleaseState.UNKNOWN)
        self._book(acting).lift(version, state, acting.step_name.partition("/")[0])
        fault_point("quarantine.lift.after")
        return Receipt(what=msg("{version} may come back.", version=version))


def _state(spec: StepSpec, name: str, default: ReleaseState) -> ReleaseState | None:
    """Return the state that the plan names; plans made before it was named there have the default."""
    state = spec.params.get(name, default.value)
    return None if state is None else ReleaseState(str(state))

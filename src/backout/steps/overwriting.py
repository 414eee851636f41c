"""What steps share that overwrite the live database: who must still be held, and where the way back is."""

from __future__ import annotations

from backout.errors import StepFailed
from backout.holds.base import HoldMeans
from backout.message import Message, msg
from backout.observed import Answer
from backout.plan.base import Acting
from backout.plan.model import StepSpec

_LOOK_S = 5.0


def refuse_unheld(spec: StepSpec, acting: Acting, *, but: tuple[str, ...] = ()) -> None:
    """Raise `StepFailed` unless everything still holds that the plan held.

    What was written since a hold was let go is in no safety backup, and would be overwritten.

    Args:
        spec: The step.
        acting: What it is given.
        but: Names of means that the step itself may have ended.
    """
    names = spec.params["held"]
    assert isinstance(names, list)
    loose = []
    for name in (n for n in names if n not in but):
        means = acting.target(f"hold:{name}", HoldMeans)
        if means.observe(_LOOK_S).held is not Answer.YES:
            loose.append(str(name))
    if loose:
        raise StepFailed(
            msg("{names} does not hold any more: writes may have come since.", names=", ".join(loose)),
            state=msg("Nothing was overwritten by this attempt."),
            next_command="backout plan --scenario data   # then run that plan with --take-over --reason '…'",
        )


def comes_back_by(spec: StepSpec, tables: tuple[str, ...] = ()) -> Message:
    """Say why nothing undoes the step, and what brings back what it overwrites."""
    database, safety = str(spec.params["database"]), spec.params["safety"]
    if safety is None:
        return msg(
            "It overwrites {database}, and nothing keeps what was in it: accepted by name.", database=database
        )
    some = f" --tables {','.join(tables)}" if tables else ""
    return msg(
        "It overwrites {database}; what was in it is in the safety backup {safety} and comes back by: {command}",
        database=database,
        safety=str(safety),
        command=f"backout run --scenario data --backup {safety}{some} --take-over --reason '…'",
    )

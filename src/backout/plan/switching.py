"""The steps that restore a backup beside the live database and let the service use it under its own name. Pure."""

from __future__ import annotations

from backout.assess.model import Assessment, Choice, Request
from backout.facts import DataFacts, Facts
from backout.observed import Answer
from backout.plan.assembly import Terms
from backout.plan.holding import held_specs, hold_specs
from backout.plan.model import DataPlan, StepSpec, Way
from backout.plan.restoring import Restoring, chosen, data_plan, exchange_params, looking

_DATABASE_S = 60.0
"""What the database itself may need around the command: sessions ended, sequences, marks."""
_DATABASE_HOLD = "database"


def switching(
    assessment: Assessment, facts: Facts, data: DataFacts, request: Request, terms: Terms
) -> Restoring:
    """Return the steps that restore the chosen backup beside the live database and switch the service to it."""
    choice = chosen(assessment)
    # No name changes: what is live now is kept under the name that it has.
    planned = data_plan(choice, data, request, terms).model_copy(
        update={"way": Way.SWITCH, "kept": data.database}
    )
    safeguard, afterwards = looking(assessment, data, planned, terms)
    return Restoring(
        data=planned,
        safeguard=safeguard,
        change=(_switch(choice, facts, data, planned, request, terms),),
        afterwards=afterwards,
    )


def _switch(
    choice: Choice, facts: Facts, data: DataFacts, planned: DataPlan, request: Request, terms: Terms
) -> StepSpec:
    restore = terms.restore
    return StepSpec(
        kind="data.switch",
        target="database",
        params={
            **exchange_params(choice, facts, data, planned, request, terms),
            "servers": {**data.servers, **({planned.beside: planned.server} if planned.server else {})},
            "command": list(restore.switch or ()),
            "cwd": restore.cwd,
            "held": _held_by_the_run(facts, request),
        },
        timeout_s=restore.switch_timeout_s + _DATABASE_S,
        locks=("writes of the whole database, until the service uses the other one",),
    )


def _held_by_the_run(facts: Facts, request: Request) -> bool:
    """Return whether the run itself makes the database refuse writes, so that no step may end that but its own."""
    held = [*held_specs(facts), *(hold_specs(facts, strongest=True) if request.hold_first else ())]
    silent = any(h.name == _DATABASE_HOLD and h.held is Answer.UNKNOWN for h in facts.holds)
    return silent or any(s.params["name"] == _DATABASE_HOLD for s in held)

"""The steps that take the data back, whichever way. Pure."""

from __future__ import annotations

from backout.assess.model import Assessment, Request
from backout.assess.ways import way_of
from backout.errors import CannotAssess
from backout.facts import Facts
from backout.message import msg
from backout.plan.assembly import Terms
from backout.plan.model import Way
from backout.plan.overwriting import by_script, chosen_tables
from backout.plan.restoring import Restoring, swapping
from backout.plan.switching import switching

_WAYS = {
    Way.SWAP: swapping,
    Way.SWITCH: switching,
    Way.COMMAND: by_script,
    Way.TABLES: chosen_tables,
}


def data_steps(assessment: Assessment, facts: Facts, request: Request, terms: Terms) -> Restoring | None:
    """Return the steps that bring the chosen backup's data; None where only the code goes back."""
    if assessment.choice is None:
        return None
    data = facts.data.value if facts.data is not None else None
    if data is None:
        raise CannotAssess(
            msg("What a restore needs is not known."),
            state=msg("Nothing was changed."),
            next_command="backout doctor",
        )
    restore = terms.restore
    way = way_of(request, own_script=restore.command is not None, own_switch=restore.switch is not None)
    return _WAYS[way](assessment, facts, data, request, terms)

"""How a backup becomes the live data: by what was asked, and by what is configured."""

from __future__ import annotations

from backout.assess.model import Case, Request
from backout.plan.model import Scenario, Way


def way_of(request: Request, *, own_script: bool, own_switch: bool) -> Way:
    """Return the way: chosen tables if some are named, else the person's own script or switch, else a swap."""
    if request.tables:
        return Way.TABLES
    if own_script:
        return Way.COMMAND
    return Way.SWITCH if own_switch else Way.SWAP


def way_in(case: Case) -> Way | None:
    """Return the way that a case would go; None where only the code goes back."""
    if case.choice is None or case.request.scenario is Scenario.CODE:
        return None
    return way_of(case.request, own_script=case.allowed.own_script, own_switch=case.allowed.own_switch)

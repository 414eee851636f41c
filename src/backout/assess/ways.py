"""How a backup becomes the live data: by what was asked, and by what is configured."""

from __future__ import annotations

from backout.assess.model import Case, Request
from backout.plan.model import Scenario, Way


def way_of(request: Request, *, own_script: bool) -> Way:
    """Return the way: chosen tables if some are named, else the person's own script if there is one, else a swap."""
    if request.tables:
        return Way.TABLES
    return Way.COMMAND if own_script else Way.SWAP


def way_in(case: Case) -> Way | None:
    """Return the way that a case would go; None where only the code goes back."""
    if case.choice is None or case.request.scenario is Scenario.CODE:
        return None
    return way_of(case.request, own_script=case.allowed.own_script)

"""Whether a canary gets a share of the requests now; asked where something else is decided."""

from __future__ import annotations

from contextlib import suppress

from backout.app.parts import Parts
from backout.canary import Meant
from backout.errors import BackoutError
from backout.facts import Facts
from backout.platforms.abilities import DividesRequests


def sharing(parts: Parts, facts: Facts) -> Meant | None:
    """Return the canary that shares requests with what was there before, with the share that it has; None: none does.

    A journal that cannot be read tells of none: whoever needs it says so.
    """
    workload, platform = facts.workload.value, parts.platform
    if workload is None or parts.emergency or not isinstance(platform, DividesRequests):
        return None
    shares, versions = workload.detail.get("shares"), workload.detail.get("versions")
    meant = None
    with suppress(BackoutError):
        meant = parts.canaries.canary().meant
    if meant is None or not isinstance(shares, dict) or not isinstance(versions, dict):
        return None
    share = int(str(shares.get(meant.side, 0)))
    if not 0 < share < 100 or versions.get(meant.side) != meant.ref:
        return None
    return meant.model_copy(update={"share": share})


def control_of(parts: Parts, facts: Facts, meant: Meant) -> str | None:
    """Return what gets the other requests, as people call it; None: it does not say."""
    workload = facts.workload.value
    versions = workload.detail.get("versions") if workload is not None else None
    ref = versions.get(meant.control) if isinstance(versions, dict) else None
    known = next(
        (r.version for r in facts.releases if r.artefact is not None and r.artefact.ref == ref), None
    )
    return known or (str(ref) if ref else None)

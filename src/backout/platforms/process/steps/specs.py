"""The absolute parameters of this platform's steps; inverses are made of nothing else."""

from __future__ import annotations

from backout.document import Json
from backout.plan.model import Retry, StepSpec

STOP, LINK, START = "process.stop", "process.link", "process.start"
_KILL_S = 10.0
"""What the kernel gets to end a process after KILL, and the runner to notice."""


def stop(ref: str, version: str, service: dict[str, Json]) -> StepSpec:
    """Return the step that ends a release's process."""
    patience = service["stop_timeout_s"]
    assert isinstance(patience, int | float)
    return StepSpec(
        kind=STOP,
        target="platform",
        params={"ref": ref, "version": version, "service": service},
        expects={"running": ref},
        retry=Retry.SAFE,
        timeout_s=2 * patience + _KILL_S,  # the process, then what it left over
    )


def start(ref: str, version: str, service: dict[str, Json]) -> StepSpec:
    """Return the step that starts a release and waits until it is ready."""
    patience = service["start_timeout_s"]
    assert isinstance(patience, int | float)
    return StepSpec(
        kind=START,
        target="platform",
        params={"ref": ref, "version": version, "service": service},
        expects={"running": ref},
        timeout_s=float(patience),
    )


def link(to: dict[str, Json], previous: dict[str, Json], service: dict[str, Json]) -> StepSpec:
    """Return the step that points `current` to a release.

    Args:
        to: ref, version and digest; a null ref means that there shall be no link.
        previous: The same, of what the link says before.
        service: What the plan says about the service.
    """
    return StepSpec(
        kind=LINK,
        target="platform",
        params={**to, "previous": previous, "service": service},
        expects={"link": previous["ref"]},
        retry=Retry.SAFE,
        timeout_s=15.0,
    )

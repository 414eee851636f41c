"""The means of holding that the configuration names."""

from __future__ import annotations

from collections.abc import Callable

from backout.clock import Clock
from backout.kubernetes.api import Api
from backout.observed import DIVERT, STOP, SUSPEND
from backout.platforms.kubernetes.holds.means import ClusterHold
from backout.platforms.kubernetes.holds.options import suspended_name
from backout.platforms.kubernetes.names import WorkloadName
from backout.platforms.kubernetes.options import KubernetesOptions


def means_of(
    options: KubernetesOptions, api: Api, clock: Clock, fence: Callable[[], None]
) -> tuple[ClusterHold, ...]:
    """Return them, what keeps requests away first; a blank in a name keeps it apart from declared commands."""
    hold, found = options.hold, []
    if hold.serving == "scale":
        things = tuple(w for w in options.names if w not in hold.suspended)
        found.append(
            ClusterHold(
                api, clock, fence, "serving pods", STOP, things, up_within_s=options.rollout_timeout_s
            )
        )
    if hold.service is not None:
        maintenance = suspended_name(hold.maintenance) if hold.maintenance else None
        service = (WorkloadName("Service", hold.service),)
        found.append(
            ClusterHold(
                api, clock, fence, f"service {hold.service}", DIVERT, service, maintenance=maintenance
            )
        )
    if hold.suspend:
        found.append(ClusterHold(api, clock, fence, "background work", SUSPEND, hold.suspended))
    return tuple(found)

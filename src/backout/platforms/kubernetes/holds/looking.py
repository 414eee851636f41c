"""What is still at work of a thing that is held, or not at work yet of one that is let go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from backout.kubernetes.api import Api
from backout.message import Message, msg
from backout.platforms.kubernetes.history import owned_by, read
from backout.platforms.kubernetes.names import WorkloadName
from backout.platforms.kubernetes.seen import progress
from backout.platforms.kubernetes.settling import just_ready
from backout.platforms.kubernetes.trouble import trouble_of

Object = dict[str, Any]

_SLICES = "kubernetes.io/service-name="
_GRACE_S = 30
"""Source: k8s.io/api/core/v1 v0.35, PodSpec.terminationGracePeriodSeconds."""


def pods_of(api: Api, thing: WorkloadName, obj: Object, patience_s: float) -> list[Object]:
    """Return the pods of a workload or of a Job that are there, also those that are ending."""
    if thing.kind in ("CronJob", "Service"):
        return []
    if thing.kind == "Job":
        selector = (obj["spec"].get("selector") or {}).get("matchLabels") or {}
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        pods = [p for p in api.list("Pod", labels, patience_s=patience_s) if owned_by(p, [obj])]
        return [p for p in pods if (p.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    return list(read(api, thing, patience_s).pods)


def grace_s(pods: Iterable[Object]) -> float:
    """Return how long the slowest of these pods may take to end."""
    return max((float(p["spec"].get("terminationGracePeriodSeconds", _GRACE_S)) for p in pods), default=0.0)


def endpoints_of(api: Api, service: str, patience_s: float) -> set[str]:
    """Return the names of the pods that a Service sends requests to."""
    slices = api.list("EndpointSlice", f"{_SLICES}{service}", patience_s=patience_s)
    endpoints = [e for one in slices for e in one.get("endpoints") or ()]
    return {
        str((e.get("targetRef") or {}).get("name") or ",".join(e.get("addresses") or ())) for e in endpoints
    }


def selected(api: Api, selector: dict[str, Any], patience_s: float) -> set[str]:
    """Return the names of the pods that a Service's selector means; none for an empty one."""
    labels = ",".join(f"{key}={value}" for key, value in selector.items())
    return (
        {str(p["metadata"]["name"]) for p in api.list("Pod", labels, patience_s=patience_s)}
        if labels
        else set()
    )


def not_up(api: Api, thing: WorkloadName, patience_s: float) -> tuple[Message | None, bool]:
    """Return why a workload that was scaled up does not serve yet, and whether waiting is in vain."""
    seen = read(api, thing, patience_s)
    found = progress(seen, seen.wanted, {})
    if found.done and just_ready(seen.ready, api.server_now):
        return msg(
            "{workload}: its pods are ready, and the network learns of them", workload=thing.text
        ), False
    return (None if found.done else found.evidence), found.failed


def why_not_up(api: Api, thing: WorkloadName) -> Message | None:
    """Return the reason, last event and last lines of a pod that does not come up."""
    seen = read(api, thing, 5.0)
    return trouble_of(api, seen, seen.wanted)

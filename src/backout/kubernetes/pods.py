"""What a pod says of itself. Pure."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def is_ending(pod: Object) -> bool:
    """Return whether a pod was told to end: it still runs, and will be gone."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_over(pod: Object) -> bool:
    """Return whether a pod ran to its end, or was evicted: it stays in the list, and is sent nothing any more."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_ready(pod: Object) -> bool:
    """Return whether a pod is ready and not ending."""
    if is_ending(pod):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def reason_of(pod: Object) -> tuple[str, str, str] | None:
    """Return container, reason and message of the first thing that keeps a pod from being ready; pure."""
    status = pod.get("status") or {}
    for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = one.get("state") or {}
        for kind in ("waiting", "terminated"):
            found = state.get(kind)
            if found and found.get("reason") not in (
                None,
                "ContainerCreating",
                "PodInitializing",
                "Completed",
            ):
                last = (one.get("lastState") or {}).get("terminated") or {}
                code = f", last exit code {last['exitCode']}" if "exitCode" in last else ""
                # Why it could not even be started stands with its last end alone.
                message = str(last.get("message") or found.get("message") or "")
                return str(one["name"]), f"{found['reason']}{code}", message
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return "", str(condition.get("reason")), str(condition.get("message") or "")
    containers = status.get("containerStatuses") or ()
    unready = next((c for c in containers if not c.get("ready")), None)
    return (str(unready["name"]), "runs and is not ready", "") if unready else None

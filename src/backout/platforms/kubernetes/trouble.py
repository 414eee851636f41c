"""Why pods do not come up, in the words of the cluster: reason, last event, last lines."""

from __future__ import annotations

from typing import Any

from backout.errors import BackoutError
from backout.kubernetes.api import Api
from backout.kubernetes.pods import is_ending, is_ready, reason_of
from backout.message import Message, msg
from backout.platforms.kubernetes.seen import Seen

Object = dict[str, Any]

_LINES = 5


def trouble_of(api: Api, seen: Seen, wanted: str) -> Message | None:
    """Return what a person would look for next: one pod's reason, last event, last lines; None: nothing is wrong.

    Never raises: what cannot be asked is left out.
    """
    pods = [p for p in seen.pods if not is_ready(p) and not is_ending(p)]
    pods.sort(key=lambda p: seen.hash_of_pod(p) != wanted)
    if not pods:
        return _of_the_workload(seen)
    pod = pods[0]
    name = str(pod["metadata"]["name"])
    container, reason, message = reason_of(pod) or ("", "is not ready", "")
    return msg(
        "pod {pod}: {reason}{message}{event}{lines}",
        pod=name,
        reason=reason,
        message=f": {message}" if message else "",
        event=_last_event(api, name),
        lines=_last_lines(api, name, container),
    )


def _of_the_workload(seen: Seen) -> Message | None:
    """Return why no pod is even made: a quota, an admission that refuses."""
    for condition in (seen.object.get("status") or {}).get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return msg(
                "{reason}: {message}", reason=condition.get("reason"), message=condition.get("message")
            )
    return None


def _last_event(api: Api, pod: str) -> str:
    try:
        events = api.list("Event", fields=f"involvedObject.name={pod}", patience_s=2.0)
    except BackoutError:
        return ""
    warnings = [e for e in events if e.get("type") == "Warning"]
    if not warnings:
        return ""
    last = max(warnings, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or ""))
    return f"; last event: {last.get('reason')}: {' '.join(str(last.get('message')).split())[:300]}"


def _last_lines(api: Api, pod: str, container: str) -> str:
    if not container:
        return ""
    for previous in (True, False):
        try:
            text = api.log(pod, container, lines=_LINES, previous=previous, patience_s=2.0).strip()
        except BackoutError:
            continue
        if text:
            return f"; last lines:\n{text}"
    return ""

"""What a pod says of itself. Pure."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def is_ending(pod: Object) -> bool:
    """Return whether a pod was told to end: it still runs, and will be gone."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_ready(pod: Object) -> bool:
    """Return whether a pod is ready and not ending."""
    if is_ending(pod):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

"""Whether pods were ready long enough that requests find them: a pod is ready before the network knows it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from backout.platforms.kubernetes.history import when

SETTLE = timedelta(seconds=3)
"""kube-proxy writes its rules at most once a second, after the EndpointSlice was written; both are told in whole seconds.

Source: kubernetes.io, kube-proxy, --iptables-min-sync-period (default 1s).
"""
_CLOCKS_DIFFER = timedelta(seconds=10)


def just_ready(pods: Iterable[dict[str, Any]], now: datetime | None) -> bool:
    """Return whether a pod became ready a moment ago.

    Args:
        pods: Those that are ready.
        now: By the cluster's own clock; None: it is not known. A node's clock far ahead of it is not waited for.
    """
    if now is None:
        return False
    since = [when(c.get("lastTransitionTime")) for p in pods for c in p["status"].get("conditions") or () if c["type"] == "Ready"]  # fmt: skip
    return any(-_CLOCKS_DIFFER < now - one < SETTLE for one in since if one is not None)

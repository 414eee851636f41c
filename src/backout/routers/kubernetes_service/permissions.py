"""What the router may have to do in the namespace: the Role of deploy/permissions-router.yaml, as data."""

from __future__ import annotations

from typing import NamedTuple


class Permission(NamedTuple):
    """One verb on one kind, and what does not work without it."""

    verb: str
    kind: str
    needed_for: str


_ALWAYS = (
    Permission("get", "Service", "seeing where requests go"),
    Permission("patch", "Service", "sending requests elsewhere"),
    Permission("list", "EndpointSlice", "proving where requests go"),
    Permission("get", "Deployment", "seeing the sides"),
    Permission("list", "Pod", "seeing the sides"),
    Permission("delete", "Pod", "ending connections that clients keep"),
)
_BY_REPLICAS = (
    Permission("patch", "Deployment", "dividing requests by replicas"),
    Permission("list", "HorizontalPodAutoscaler", "dividing requests by replicas"),
)


def permissions(*, by_replicas: bool) -> tuple[Permission, ...]:
    """Return what is needed; more of it where requests are divided by replicas."""
    return (*_ALWAYS, *(_BY_REPLICAS if by_replicas else ()))

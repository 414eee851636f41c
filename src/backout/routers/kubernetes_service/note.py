"""What the Service itself keeps of its past: who was put out when, and what a hold has to put back. Pure.

`managedFields` tells who gave the selector its value, and when: it is one field (atomic), so nobody can change a part of it and
not be seen. Source: k8s.io/api/core/v1 v0.35, ServiceSpec.Selector (mapType=atomic); kubernetes.io, "Server-Side Apply": the
time of an entry is updated when its manager changes a value, and not when another one takes it over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from backout.document import Json
from backout.kubernetes.pods import is_over
from backout.routers.kubernetes_service.labels import Labels

Object = dict[str, Any]

NOTE = "backout/router"
"""Annotation on the Service."""
MANAGER = "backout-router"
"""Who changes the selector, and nothing else: so the time of its entry is that of the last change."""
_CLOCKS_DIFFER = timedelta(seconds=10)
"""Between a node, which says when a container started, and the API server."""


@dataclass(frozen=True, slots=True)
class Note:
    """What the annotation says.

    Attributes:
        held: The selector that a hold has to put back; None: it was not held by us.
        out: Since when a side gets no requests, for those that were out already when the selector was changed last.
    """

    held: Labels | None = None
    out: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def text(self) -> str | None:
        """The annotation's value; None: it is not needed."""
        told: dict[str, Json] = {}
        if self.held is not None:
            told["held"] = dict(self.held)
        if self.out:
            told["out"] = {name: at.isoformat() for name, at in self.out.items()}
        return json.dumps(told, sort_keys=True) if told else None


def note_of(service: Object) -> Note:
    """Return the note; what cannot be read says nothing."""
    try:
        told = json.loads((service["metadata"].get("annotations") or {}).get(NOTE) or "{}")
        held = told.get("held")
        return Note(
            held={str(key): str(value) for key, value in held.items()} if held is not None else None,
            out={str(name): datetime.fromisoformat(at) for name, at in (told.get("out") or {}).items()},
        )
    except (ValueError, TypeError, AttributeError):
        return Note()


def changed(service: Object) -> tuple[str, datetime] | None:
    """Return who gave the selector its value, and when; None: the cluster does not tell."""
    found = [
        (str(entry.get("manager")), datetime.fromisoformat(entry["time"]))
        for entry in service["metadata"].get("managedFields") or ()
        if "f:selector" in ((entry.get("fieldsV1") or {}).get("f:spec") or {}) and entry.get("time")
    ]
    return max(found, key=lambda one: one[1], default=None)


def out_since(service: Object, side: str) -> datetime | None:
    """Return since when a side that is not selected is out; None: that is not known."""
    last = changed(service)
    if last is None:
        return None
    who, when = last
    return note_of(service).out.get(side, when) if who == MANAGER else when


def out_before(service: Object, sides: Iterable[str]) -> dict[str, datetime]:
    """Return since when each of these sides is out, as the note of the next change has to keep it."""
    found = {side: out_since(service, side) for side in sides}
    return {side: at for side, at in found.items() if at is not None}


def may_be_connected(pod: Object, since: datetime | None) -> bool:
    """Tell whether a connection through the Service may still be with a pod of a side that is out.

    A Service divides connections, and none is closed by another selector: whoever keeps one stays with that pod until it ends.

    Args:
        pod: As the API server gives it.
        since: When the side was put out; None: it is not known.
    """
    status = pod.get("status") or {}
    if is_over(pod):
        return False
    if since is None:
        return True
    if datetime.fromisoformat(pod["metadata"]["creationTimestamp"]) > since:
        return False
    # A sidecar that carries the connections may be an init container that goes on (kubernetes.io, "Sidecar Containers").
    every = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    running = [(one.get("state") or {}).get("running") for one in every]
    started = [datetime.fromisoformat(one["startedAt"]) for one in running if one]
    return any(at <= since + _CLOCKS_DIFFER for at in started)

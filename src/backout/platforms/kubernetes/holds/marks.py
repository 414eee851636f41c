"""How an object is held: one field of it, and an annotation that keeps what the field was. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from backout.document import Json
from backout.platforms.kubernetes.names import HELD, WorkloadName

Object = dict[str, Any]

NOBODY: dict[str, Json] = {HELD: "nobody"}
"""A selector that no pod has."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the annotation says.

    Attributes:
        prior: What the field was before the hold.
        ends: Whether the field has its value again, and what came back was not seen to serve yet.
    """

    prior: Json
    ends: bool = False


def mark_of(obj: Object) -> Mark | None:
    """Return the mark of a hold; None: this object is not held."""
    text = (obj["metadata"].get("annotations") or {}).get(HELD)
    try:
        found = json.loads(text or "null")
        return Mark(prior=found["prior"], ends=bool(found.get("ends")))
    except (ValueError, TypeError, KeyError):
        return None


def value_of(thing: WorkloadName, obj: Object) -> Json:
    """Return the field that a hold changes, as it is now."""
    spec = obj.get("spec") or {}
    if thing.kind == "Service":
        return dict(spec.get("selector") or {})
    if thing.kind in ("CronJob", "Job"):
        return bool(spec.get("suspend"))
    return 1 if spec.get("replicas") is None else int(spec["replicas"])


def change(thing: WorkloadName, obj: Object, value: Json, mark: Mark | None) -> Object:
    """Return the merge patch that gives the field a value and the object a mark, if nobody changed it meanwhile."""
    text = None if mark is None else json.dumps({"prior": mark.prior} | ({"ends": True} if mark.ends else {}))
    meta = {"resourceVersion": obj["metadata"]["resourceVersion"], "annotations": {HELD: text}}
    return {"metadata": meta, "spec": field_patch(thing, obj, value)}


def field_patch(thing: WorkloadName, obj: Object, value: Json) -> Object:
    """Return the part of a merge patch below `spec`."""
    if thing.kind == "Service":
        now, wanted = value_of(thing, obj), value
        assert isinstance(now, dict) and isinstance(wanted, dict)
        return {"selector": {**dict.fromkeys(now), **wanted}}  # a merge patch takes away what is null
    return {"suspend" if thing.kind in ("CronJob", "Job") else "replicas": value}


def is_over(job: Object) -> bool:
    """Return whether a Job has ended: nothing is left to suspend."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)

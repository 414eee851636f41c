"""Reads workloads: the object, the revisions that its controller keeps, and its pods."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from backout.errors import NotPossible
from backout.kubernetes.api import Api
from backout.message import msg
from backout.platforms.kubernetes.options import WorkloadName
from backout.platforms.kubernetes.seen import Revision, Seen
from backout.platforms.kubernetes.template import hash_of

Object = dict[str, Any]

_REVISION = "deployment.kubernetes.io/revision"
"""Source: k8s.io/kubectl v0.35, util/deployment."""


def read(api: Api, workload: WorkloadName, patience_s: float) -> Seen:
    """Return a workload as it stands.

    Raises:
        NotPossible: There is none of that name.
        TargetUnreachable: The server does not answer.
    """
    obj = need(api, workload, patience_s)
    labels = selector_of(obj)
    kind = "ReplicaSet" if workload.kind == "Deployment" else "ControllerRevision"
    holders = [one for one in api.list(kind, labels, patience_s=patience_s) if owned_by(one, [obj])]
    owners = holders if workload.kind == "Deployment" else [obj]
    revisions = [r for one in holders if (r := _revision(kind, one)) is not None]
    return Seen(
        workload=workload,
        object=obj,
        revisions=tuple(sorted(revisions, key=lambda r: r.number, reverse=True)),
        pods=tuple(p for p in api.list("Pod", labels, patience_s=patience_s) if owned_by(p, owners)),
    )


def need(api: Api, workload: WorkloadName, patience_s: float) -> Object:
    """Return the object of a workload; raises `NotPossible` if there is none."""
    obj = api.get(workload.kind, workload.name, patience_s=patience_s)
    if obj is None:
        raise NotPossible(
            msg("There is no {workload} in namespace {namespace}", workload=workload.text, namespace=api.namespace),
            state=msg("Nothing was changed."),
            next_command=api.kubectl("get", "deployments,statefulsets,daemonsets"),
        )  # fmt: skip
    return obj


def selector_of(obj: Object) -> str:
    """Return the label selector of a workload's pods, as a query takes it.

    Source: k8s.io/apimachinery v0.35, LabelSelectorAsSelector.
    """
    selector = obj["spec"]["selector"]
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for one in selector.get("matchExpressions") or ():
        key, values = one["key"], ",".join(one.get("values") or ())
        parts.append(
            {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}.get(
                one["operator"], f"!{key}"
            )
        )
    return ",".join(parts)


def owned_by(obj: Object, owners: list[Object]) -> bool:
    """Return whether the controller of an object is one of these very owners."""
    uids = {owner["metadata"]["uid"] for owner in owners}
    return any(o.get("controller") and o["uid"] in uids for o in obj["metadata"].get("ownerReferences") or ())


def _revision(kind: str, one: Object) -> Revision | None:
    if kind == "ReplicaSet":
        template, number = one["spec"]["template"], (one["metadata"].get("annotations") or {}).get(_REVISION)
    else:
        template = ((one.get("data") or {}).get("spec") or {}).get("template")
        number = one.get("revision")
    if template is None:
        return None
    return Revision(
        hash=hash_of(template),
        template=template,
        number=int(number or 0),
        created=when(one["metadata"].get("creationTimestamp")),
        name=str(one["metadata"]["name"]),
    )


def when(text: str | None) -> datetime | None:
    """Return a time of the API server."""
    return datetime.fromisoformat(text) if text else None

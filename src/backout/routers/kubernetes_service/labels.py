"""Labels: what a Deployment selects, what several have in common, what a Service's selector means. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Labels = dict[str, str]
Object = dict[str, Any]


def own_labels(deployment: Object) -> Labels:
    """Return the labels by which a Deployment knows its pods; they never change (apps/v1: the selector is immutable).

    Raises:
        ValueError: It selects by expressions, which no Service can.
    """
    selector = deployment["spec"]["selector"]
    if selector.get("matchExpressions") or not selector.get("matchLabels"):
        raise ValueError("it selects its pods by matchExpressions: a Service knows labels alone")
    return dict(selector["matchLabels"])


def common(every: Iterable[Labels]) -> Labels:
    """Return the labels that all have, with the same value."""
    first, *others = every
    return {key: value for key, value in first.items() if all(one.get(key) == value for one in others)}


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Tell whether a selector means pods with these labels; an empty one means none."""
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def template_labels(deployment: Object) -> Labels:
    """Return the labels of the pods that a Deployment makes."""
    return dict((deployment["spec"]["template"].get("metadata") or {}).get("labels") or {})


def is_of(pod: Object, deployment: str) -> bool:
    """Tell whether a pod was made by a ReplicaSet of that Deployment: NAME-HASH, with the hash that its pods have as a label."""
    meta = pod["metadata"]
    made_by = f"{deployment}-{(meta.get('labels') or {}).get('pod-template-hash')}"
    owners = meta.get("ownerReferences") or ()
    return any(one.get("kind") == "ReplicaSet" and one.get("name") == made_by for one in owners)


def as_query(labels: Mapping[str, str]) -> str:
    """Return a label selector as the API and kubectl take it."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))

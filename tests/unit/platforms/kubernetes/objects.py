"""Objects as the API server gives them, as small as they can be."""

from __future__ import annotations

from typing import Any

from backout.platforms.kubernetes.options import workload_name
from backout.platforms.kubernetes.seen import Revision, Seen
from backout.platforms.kubernetes.template import hash_of


def template(image: str = "r/collector:1.0.0", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": "collector"}},
        "spec": {"containers": [{"name": "collector", "image": image}], **spec},
    }


def pod(
    name: str, mark: str, *, ready: bool = True, kind: str = "deployment", **status: Any
) -> dict[str, Any]:
    label = "pod-template-hash" if kind == "deployment" else "controller-revision-hash"
    state = {"running": {}} if ready else {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    return {
        "metadata": {"name": name, "labels": {label: mark}},
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [
                {
                    "name": "collector",
                    "ready": ready,
                    "state": state,
                    "imageID": "r/collector@sha256:" + "a" * 64,
                }
            ],
            **status,
        },
    }


def seen(
    *templates: dict[str, Any],
    pods: tuple[dict[str, Any], ...] = (),
    workload: str = "deployment/collector",
    replicas: int = 1,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> Seen:
    """Return a workload that has these templates, the wanted one first; revisions are called collector-0, -1, …"""
    done = {"updatedReplicas": replicas, "availableReplicas": replicas, "replicas": replicas}
    return Seen(
        workload=workload_name(workload),
        object={
            "metadata": {"uid": "u", "generation": 2},
            "spec": {"replicas": replicas, "template": templates[0], **spec},
            "status": {"observedGeneration": 2, **(done if status is None else status)},
        },
        revisions=tuple(
            Revision(hash_of(t), t, len(templates) - n, None, f"collector-{n}")
            for n, t in enumerate(templates)
        ),
        pods=pods,
    )

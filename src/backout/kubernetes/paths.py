"""Where the API server has each kind of object. Pure."""

from __future__ import annotations

PATHS = {
    "Deployment": "apis/apps/v1",
    "StatefulSet": "apis/apps/v1",
    "DaemonSet": "apis/apps/v1",
    "ReplicaSet": "apis/apps/v1",
    "ControllerRevision": "apis/apps/v1",
    "Job": "apis/batch/v1",
    "CronJob": "apis/batch/v1",
    "Pod": "api/v1",
    "ConfigMap": "api/v1",
    "Secret": "api/v1",
    "Event": "api/v1",
    "Service": "api/v1",
    "EndpointSlice": "apis/discovery.k8s.io/v1",
    "Lease": "apis/coordination.k8s.io/v1",
    "HorizontalPodAutoscaler": "apis/autoscaling/v2",
    "PodDisruptionBudget": "apis/policy/v1",
}


def plural(kind: str) -> str:
    """Return the kind as paths and roles name it."""
    return f"{kind.lower()}ies" if kind.endswith("y") else f"{kind.lower()}s"


def group_of(kind: str) -> str:
    """Return the API group of a kind as roles name it."""
    parts = PATHS[kind].split("/")
    return parts[1] if parts[0] == "apis" else ""

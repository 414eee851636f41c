"""The configuration of this platform: which cluster, and which workloads are the service."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

from backout.fields import Declared
from backout.platforms.kubernetes.automation import AutomationOptions

KINDS = {
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "daemonset": "DaemonSet",
}
"""Kinds that run releases, as kubectl writes them in front of a name."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""Source: Kubernetes API conventions, DNS-1123 subdomain."""


class WorkloadName(NamedTuple):
    """A workload as the configuration names it: ``deployment/web``."""

    kind: str
    name: str

    @property
    def text(self) -> str:
        """As kubectl takes it."""
        return f"{self.kind.lower()}/{self.name}"


def workload_name(text: str) -> WorkloadName:
    """Return kind and name of ``deployment/web``; raises ValueError."""
    kind, slash, name = text.partition("/")
    if not slash or kind.lower() not in KINDS or not _NAME.fullmatch(name):
        raise ValueError(f"one of {', '.join(f'{k}/NAME' for k in KINDS)}")
    return WorkloadName(KINDS[kind.lower()], name)


def _workload(value: str) -> str:
    return workload_name(value).text


def _workloads(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) < len(value):
        raise ValueError("each workload once")
    return value


class KubernetesOptions(Declared):
    """What `platform: {kind: kubernetes, …}` takes."""

    workloads: Annotated[
        tuple[Annotated[str, AfterValidator(_workload)], ...], AfterValidator(_workloads)
    ] = Field(
        min_length=1,
        description="What the service runs as, in the order in which it is taken back: deployment/NAME, "
        "statefulset/NAME or daemonset/NAME. The first one names the release.",
    )
    namespace: str | None = Field(
        default=None, description="Namespace of the workloads; left out: the context's."
    )
    context: str | None = Field(
        default=None, description="Context of the kubeconfig; left out: its current one."
    )
    kubeconfig: str | None = Field(
        default=None,
        description="Path of the kubeconfig, relative to this file; left out: $KUBECONFIG, else "
        "~/.kube/config, else the service account of the pod that backout runs in.",
    )
    rollout_timeout_s: float = Field(
        default=300,
        gt=0,
        le=7200,
        description="Seconds that one workload may take until every pod of the target is available.",
    )

    automation: tuple[AutomationOptions, ...] = Field(
        default=(),
        description="Who else changes the workloads (Argo CD, Flux, a controller of your own), and how it is "
        "paused before a way back.",
    )

    @property
    def names(self) -> tuple[WorkloadName, ...]:
        """The workloads in their order."""
        return tuple(workload_name(text) for text in self.workloads)

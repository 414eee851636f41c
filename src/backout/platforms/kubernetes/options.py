"""The configuration of this platform: which cluster, and which workloads are the service."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from backout.fields import Declared
from backout.platforms.kubernetes.automation import AutomationOptions
from backout.platforms.kubernetes.holds.options import KubernetesHoldOptions
from backout.platforms.kubernetes.names import WorkloadName as WorkloadName

KINDS = {
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "daemonset": "DaemonSet",
}
"""Kinds that run releases, as kubectl writes them in front of a name."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""Source: Kubernetes API conventions, DNS-1123 subdomain."""


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


def _object_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("the name of a Secret in the namespace of the workloads")
    return value


class SecretsOptions(Declared):
    """Secrets that backout may read; the optional Role (deploy/permissions-secrets.yaml) has to name them."""

    watch: tuple[Annotated[str, AfterValidator(_object_name)], ...] = Field(
        default=(),
        description="Secrets that are looked at with every release that is recorded: a plan says which were changed "
        "since. They stay as they are.",
    )
    keep: tuple[Annotated[str, AfterValidator(_object_name)], ...] = Field(
        default=(),
        description="Secrets of which a copy is kept with every release that is recorded, and comes back with it. "
        "None that holds a password which is changed at the other end too.",
    )

    @property
    def listed(self) -> tuple[str, ...]:
        """Every one of them, each once."""
        return tuple(sorted({*self.watch, *self.keep}))


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
    hold: KubernetesHoldOptions = Field(
        default_factory=KubernetesHoldOptions, description="What `backout hold` does in the cluster."
    )
    automation: tuple[AutomationOptions, ...] = Field(
        default=(),
        description="Who else changes the workloads (Argo CD, Flux, a controller of your own), and how it is "
        "paused before a way back.",
    )
    secrets: SecretsOptions = Field(
        default=SecretsOptions(),
        description="Secrets that are looked at (watch) or come back with the code (keep), by name. Left out: only "
        "the names that templates refer to are recorded.",
    )

    @model_validator(mode="after")
    def _holds_what_it_can(self) -> Self:
        if self.hold.serving == "scale":
            serving = [w for w in self.names if w not in self.hold.suspended]
            fixed = [w.text for w in serving if w.kind == "DaemonSet"]
            if fixed:
                raise ValueError(f"hold.serving: scale cannot scale {fixed[0]}; take service")
            if not serving:
                raise ValueError("hold.serving: scale, and every workload is in hold.suspend")
        return self

    @property
    def names(self) -> tuple[WorkloadName, ...]:
        """The workloads in their order."""
        return tuple(workload_name(text) for text in self.workloads)

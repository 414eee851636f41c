"""What a person configures for the `kubernetes-service` router."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from backout.fields import Declared, Name, Seconds

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""Source: Kubernetes API conventions, DNS-1123 subdomain."""


def _object(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a name as kubectl shows it")
    return value


def _deployment(value: str) -> str:
    kind, slash, name = value.partition("/")
    if not slash or kind.lower() != "deployment" or not _NAME.fullmatch(name):
        raise ValueError("deployment/NAME")
    return f"deployment/{name}"


ObjectName = Annotated[str, AfterValidator(_object)]
DeploymentName = Annotated[str, AfterValidator(_deployment)]


class KubernetesServiceOptions(Declared):
    """One Service of a cluster, whose sides are Deployments."""

    service: ObjectName = Field(description="Name of the Service.")
    sides: dict[Name, DeploymentName] = Field(
        description="The Deployment of each side: {blue: deployment/collector-blue, green: deployment/collector-green}. Its "
        "matchLabels are what the Service selects when all requests go there.",
        min_length=2,
    )
    replicas: int | None = Field(
        default=None,
        ge=2,
        le=1000,
        description="Pods of all sides together, to divide requests by their numbers: with 10, in steps of 10 per cent. Left "
        "out: all requests go to one side, and no Deployment is scaled.",
    )
    maintenance: DeploymentName | None = Field(
        default=None,
        description="The Deployment whose pods answer while requests are held: 503, Retry-After, and Connection: close.",
    )
    namespace: ObjectName | None = Field(
        default=None, description="Namespace of the Service; left out: the context's."
    )
    context: str | None = Field(
        default=None, description="Context of the kubeconfig; left out: its current one."
    )
    kubeconfig: str | None = Field(
        default=None,
        description="Path of the kubeconfig, relative to this file; left out: $KUBECONFIG, else ~/.kube/config, else the "
        "service account of the pod that backout runs in.",
    )
    rollout_timeout_s: Seconds = Field(
        default=120,
        gt=0,
        le=3600,
        description="Seconds that pods may take to be ready after they are scaled or started again, and to end.",
    )

    @model_validator(mode="after")
    def _each_deployment_once(self) -> KubernetesServiceOptions:
        names = [*self.sides.values(), *([self.maintenance] if self.maintenance else [])]
        twice = sorted({one for one in names if names.count(one) > 1})
        if twice:
            raise ValueError(f"{twice[0]} is named twice")
        return self

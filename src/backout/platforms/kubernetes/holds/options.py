"""What `platform: {hold: …}` takes."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from backout.fields import Declared
from backout.platforms.kubernetes.names import WorkloadName

SCALED = {"deployment": "Deployment", "statefulset": "StatefulSet"}
SUSPENDED = {"cronjob": "CronJob", "job": "Job", **SCALED}
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def suspended_name(text: str) -> WorkloadName:
    """Return kind and name of ``cronjob/nightly``; raises ValueError."""
    return _name_of(text, SUSPENDED)


def _name_of(text: str, kinds: dict[str, str]) -> WorkloadName:
    kind, slash, name = text.partition("/")
    if not slash or kind.lower() not in kinds or not _NAME.fullmatch(name):
        raise ValueError(f"one of {', '.join(f'{k}/NAME' for k in kinds)}")
    return WorkloadName(kinds[kind.lower()], name)


def _scaled(value: str) -> str:
    return _name_of(value, SCALED).text


def _suspended(value: str) -> str:
    return suspended_name(value).text


class KubernetesHoldOptions(Declared):
    """What `backout hold` does in the cluster; nothing unless it is named here."""

    serving: Literal["scale", "service"] | None = Field(
        default=None,
        description="How requests are kept away: `scale` ends every pod of the workloads that are not in "
        "`suspend`, `service` points the Service elsewhere and lets the pods run, so that connections which are "
        "open already stay.",
    )
    service: str | None = Field(
        default=None, description="With `serving: service`: name of the Service that is pointed elsewhere."
    )
    maintenance: Annotated[str, AfterValidator(_scaled)] | None = Field(
        default=None,
        description="With `serving: service`: deployment/NAME or statefulset/NAME whose pods answer meanwhile; "
        "left out: nobody answers.",
    )
    suspend: tuple[Annotated[str, AfterValidator(_suspended)], ...] = Field(
        default=(),
        description="What acts without requests, in the order in which it is stopped: cronjob/NAME, job/NAME, "
        "deployment/NAME or statefulset/NAME.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.serving == "service") != (self.service is not None):
            raise ValueError("serving: service and the Service's name (service) go together")
        if self.maintenance is not None and self.serving != "service":
            raise ValueError("maintenance goes with serving: service")
        if len(set(self.suspend)) < len(self.suspend):
            raise ValueError("each of suspend once")
        return self

    @property
    def names(self) -> tuple[WorkloadName, ...]:
        """What a hold changes besides the workloads that are scaled."""
        service = (WorkloadName("Service", self.service),) if self.service is not None else ()
        return (*service, *self.suspended)

    @property
    def suspended(self) -> tuple[WorkloadName, ...]:
        """What is suspended, in its order."""
        return tuple(suspended_name(text) for text in self.suspend)

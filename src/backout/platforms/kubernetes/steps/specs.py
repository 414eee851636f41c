"""The absolute parameters of this platform's steps; inverses are made of nothing else. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backout.document import Json
from backout.plan.model import Retry, StepSpec

TEMPLATE, REPLACE, RESTART = "kubernetes.template", "kubernetes.replace", "kubernetes.restart"
KEEP_ONE = "kubernetes.keep_one"
SETTLE_S = 5.0
"""What the API server and the controllers get on top of the roll-out itself."""


@dataclass(frozen=True, slots=True)
class Side:
    """A release as one workload has it.

    Attributes:
        images: ``sha256:…`` by container; empty where it is not known.
        configs: Content by ConfigMap that has to be a kept copy, because the ConfigMap itself says something else.
        secrets: Fingerprint by Secret that has to be a kept copy.
        paused: Whether its roll-out is paused.
        made: How the template is made (`releases.Made`) that nothing has yet; empty: it is there.
    """

    version: str
    ref: str
    template: str
    images: dict[str, str]
    configs: dict[str, str]
    secrets: dict[str, str] = field(default_factory=dict)
    paused: bool = False
    made: dict[str, Json] = field(default_factory=dict)

    def params(self) -> dict[str, Json]:
        """Return them as a plan keeps them."""
        return {
            "version": self.version,
            "ref": self.ref,
            "template": self.template,
            "images": dict(self.images),
            "configs": dict(self.configs),
            "secrets": dict(self.secrets),
            "paused": self.paused,
            "made": dict(self.made),
        }


@dataclass(frozen=True, slots=True)
class Place:
    """One workload among those of the service.

    Attributes:
        kubectl: What kubectl commands for it begin with.
        number, of: Where it stands in the order. The first one names the release that the service is told to run.
        backwards: Whether the order is gone through from its end, as undoing does.
        gaps: Whether nothing serves while it changes (strategy Recreate).
        waits: Whether the step is done only when every pod is of the target; else a step after it sees to that.
    """

    workload: str
    uid: str
    kubectl: str
    number: int
    of: int
    backwards: bool
    gaps: bool
    waits: bool

    def params(self) -> dict[str, Json]:
        """Return them as a plan keeps them."""
        return {
            "workload": self.workload,
            "uid": self.uid,
            "kubectl": self.kubectl,
            "number": self.number,
            "of": self.of,
            "backwards": self.backwards,
            "gaps": self.gaps,
            "waits": self.waits,
        }


def template(
    place: dict[str, Json], to: dict[str, Json], previous: dict[str, Json], timeout_s: float
) -> StepSpec:
    """Return the step that gives a workload a template."""
    return StepSpec(
        kind=TEMPLATE,
        target="platform",
        params={**place, **to, "previous": previous},
        expects={"template": previous["template"], "uid": place["uid"]},
        retry=Retry.SAFE if _replaces(place) or to["paused"] else Retry.AFTER_PROBE,
        timeout_s=timeout_s + SETTLE_S,
        locks=(f"roll-out of {place['workload']}",),
    )


def replace(place: dict[str, Json], to: dict[str, Json], timeout_s: float) -> StepSpec:
    """Return the step that deletes pods which will never be ready, and waits for the roll-out."""
    return StepSpec(
        kind=REPLACE,
        target="platform",
        params={**place, **to},
        expects={"template": to["template"], "uid": place["uid"]},
        retry=Retry.SAFE,
        timeout_s=timeout_s + SETTLE_S,
    )


def restart(place: dict[str, Json], to: dict[str, Json], timeout_s: float) -> StepSpec:
    """Return the step that starts every pod of a workload anew."""
    return StepSpec(
        kind=RESTART,
        target="platform",
        params={**place, **to},
        expects={"template": to["template"], "uid": place["uid"]},
        timeout_s=timeout_s + SETTLE_S,
    )


def keep_one(workload: str, uid: str, kubectl: str, version: str, template: str) -> StepSpec:
    """Return the step that keeps one pod of the release that is taken back."""
    return StepSpec(
        kind=KEEP_ONE,
        target="platform",
        params={
            "workload": workload,
            "uid": uid,
            "kubectl": kubectl,
            "version": version,
            "template": template,
        },
        expects={"template": template, "uid": uid},
        timeout_s=30.0,
    )


def text(spec: StepSpec, name: str) -> str:
    """Return a parameter that is text."""
    value = spec.params[name]
    assert isinstance(value, str)
    return value


def mapping(spec: StepSpec, name: str) -> dict[str, Any]:
    """Return a parameter that is a mapping."""
    value = spec.params[name]
    assert isinstance(value, dict)
    return value


def replaces(spec: StepSpec) -> bool:
    """Whether the step deletes stuck pods itself: undoing has no step after it that would."""
    return _replaces(spec.params)


def _replaces(place: Mapping[str, Json]) -> bool:
    return bool(place["backwards"]) and not place["waits"]


def waits(spec: StepSpec) -> bool:
    """Whether the step is done only when every pod is of its template. Undoing has no step after it that would see to it."""
    return bool(spec.params["waits"] or spec.params["backwards"])


def ends(spec: StepSpec) -> bool:
    """Whether the other version is gone with this workload."""
    return spec.params["number"] == (1 if spec.params["backwards"] else spec.params["of"])

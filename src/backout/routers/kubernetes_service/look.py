"""One look at the Service: what it selects, the Deployments of its sides, their pods, and who really gets connections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backout.errors import NotPossible, TargetUnreachable
from backout.kubernetes.api import Api
from backout.kubernetes.pods import is_ending, is_over, is_ready, reason_of
from backout.message import Message, msg
from backout.routers.kubernetes_service.labels import (
    Labels,
    as_query,
    common,
    is_of,
    own_labels,
    selects,
    template_labels,
)
from backout.routers.kubernetes_service.note import may_be_connected, note_of, out_since
from backout.routers.kubernetes_service.options import KubernetesServiceOptions

Object = dict[str, Any]

_SLICES = "kubernetes.io/service-name="


@dataclass(frozen=True, slots=True)
class Group:
    """A Deployment with its pods: a side, or what answers maintenance.

    Attributes:
        labels: By which it knows its pods.
        pods: That have these labels and that it made, also those that are ending.
        strangers: Names of pods that have these labels, and that somebody else made.
    """

    name: str
    object: Object
    labels: Labels
    pods: tuple[Object, ...]
    strangers: tuple[str, ...]

    @property
    def deployment(self) -> str:
        """As kubectl takes it."""
        return f"deployment/{self.object['metadata']['name']}"

    @property
    def is_gone(self) -> bool:
        """Whether there is no such Deployment; what answers maintenance may lack, a side never."""
        return not self.labels

    @property
    def replicas(self) -> int:
        """Pods that it is told to run."""
        told = self.object["spec"].get("replicas")
        return 1 if told is None else int(told)

    @property
    def ready(self) -> frozenset[str]:
        """Names of its pods that are ready."""
        return frozenset(str(pod["metadata"]["name"]) for pod in self.pods if is_ready(pod))

    @property
    def names(self) -> frozenset[str]:
        """Names of all of its pods."""
        return frozenset(str(pod["metadata"]["name"]) for pod in self.pods)

    def trouble(self) -> str:
        """Return why one of its pods is not ready, to be put behind a sentence; empty: nothing is known."""
        for pod in self.pods:
            if is_ready(pod) or is_ending(pod) or (found := reason_of(pod)) is None:
                continue
            _, reason, message = found
            return f": pod {pod['metadata']['name']}: {reason}{f': {message}' if message else ''}"
        return ""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look told.

    Attributes:
        service: The Service itself.
        sides: By name.
        maintenance: What answers while it is held; None: nothing is declared.
        endpoints: Names of pods that connections are sent to.
    """

    service: Object
    sides: Mapping[str, Group]
    maintenance: Group | None
    endpoints: frozenset[str]

    @property
    def selector(self) -> Labels:
        """What the Service selects now."""
        return dict(self.service["spec"].get("selector") or {})

    @property
    def held(self) -> bool:
        """Whether it is pointed to what answers maintenance; where that is gone, to nobody, and a hold has noted what was before."""
        if self.maintenance is None:
            return False
        if self.maintenance.is_gone:
            return note_of(self.service).held is not None and not self.meant(self.selector)
        return self.selector == self.maintenance.labels

    @property
    def divides(self) -> Labels:
        """What it selects, or, while it is held, will select afterwards; empty where that is not known."""
        return (note_of(self.service).held or {}) if self.held else self.selector

    @property
    def taking(self) -> tuple[str, ...]:
        """The sides that `divides` means."""
        return self.meant(self.divides)

    @property
    def weights(self) -> dict[str, int]:
        """By how much each side takes requests: one alone by 1, several by their replicas."""
        taking = self.taking
        if len(taking) == 1:
            return {name: int(name in taking) for name in self.sides}
        return {name: one.replicas if name in taking else 0 for name, one in self.sides.items()}

    @property
    def strays(self) -> tuple[str, ...]:
        """Names of pods that get connections and are of nobody who is declared."""
        known = frozenset[str]().union(*(one.names for one in self._groups))
        return tuple(sorted(self.endpoints - known))

    @property
    def _groups(self) -> tuple[Group, ...]:
        return (*self.sides.values(), *([self.maintenance] if self.maintenance is not None else []))

    def meant(self, selector: Labels) -> tuple[str, ...]:
        """Return the sides that a selector means."""
        return tuple(n for n, one in self.sides.items() if selects(selector, template_labels(one.object)))

    def reached(self, name: str) -> bool:
        """Tell whether connections are sent to a side."""
        return bool(self.sides[name].names & self.endpoints)

    def admits(self, name: str) -> bool:
        """Tell whether a connection may be sent to a side."""
        selected = not self.held and name in self.taking and self.sides[name].replicas > 0
        return selected or self.reached(name)

    def out_since(self, name: str) -> datetime | None:
        """Return since when a side that is out gets no connections; None: it is not known."""
        return out_since(self.service, name)

    def connected(self, name: str) -> tuple[Object, ...]:
        """Return the pods of a side with which a connection may still be."""
        if self.admits(name):
            return self.sides[name].pods
        since = self.out_since(name)
        return tuple(pod for pod in self.sides[name].pods if may_be_connected(pod, since))

    def inside(self, name: str) -> int | None:
        """Return 0 where no connection can be with a side; else None: nobody counts them."""
        return None if self.connected(name) else 0

    def wide(self) -> Labels:
        """Return the labels that all sides have in common; empty: none."""
        return common(one.labels for one in self.sides.values())


def look(api: Api, options: KubernetesServiceOptions, left_s: Callable[[], float]) -> Look:
    """Return one look.

    Args:
        api: The cluster.
        options: Whom to look at.
        left_s: Seconds that are left for all of it.

    Raises:
        TargetUnreachable: The API server does not answer in time, or lacks the Service or a Deployment.
        CredentialsRefused: It does not let us look.
        NotPossible: A Deployment selects in a way that no Service can.
    """
    service = api.get("Service", options.service, patience_s=left_s())
    if service is None:
        raise _lacking(api, f"service/{options.service}")
    if service["spec"].get("type") == "ExternalName" or service["spec"].get("clusterIP") == "None":
        raise NotPossible(
            msg(
                "service/{service} is {kind}: names are all that it gives, and clients keep them; it divides no connections.",
                service=options.service,
                kind="headless" if service["spec"].get("clusterIP") == "None" else "an ExternalName",
            ),
            state=msg("Nothing was changed."),
            next_command=api.kubectl("get", f"service/{options.service}", "-o", "yaml"),
        )
    # Before the pods: one that is made meanwhile is then no stranger.
    slices = api.list("EndpointSlice", f"{_SLICES}{options.service}", patience_s=left_s())
    return Look(
        service=service,
        sides={name: _group(api, name, text, left_s) for name, text in options.sides.items()},
        maintenance=_group(api, None, options.maintenance, left_s) if options.maintenance else None,
        endpoints=frozenset(_reached(slices, by_port=bool(service["spec"].get("ports")))),
    )


def strangers(api: Api, labels: Labels, sides: Mapping[str, Group]) -> tuple[str, ...]:
    """Return the names of pods with these labels that are of no side: a Service with that selector would send them requests."""
    known = frozenset[str]().union(*(one.names for one in sides.values()))
    found = (str(pod["metadata"]["name"]) for pod in api.list("Pod", as_query(labels)) if not is_ending(pod))
    return tuple(sorted(set(found) - known))


def _group(api: Api, side: str | None, text: str, left_s: Callable[[], float]) -> Group:
    """Return a side, or (None) what answers maintenance: requests can be sent elsewhere without that."""
    deployment, name = text.partition("/")[2], side or "maintenance"
    found = api.get("Deployment", deployment, patience_s=left_s())
    if found is None and side is None:
        gone: Object = {"metadata": {"name": deployment}, "spec": {"replicas": 0, "template": {}}}
        return Group(name=name, object=gone, labels={}, pods=(), strangers=())
    if found is None:
        raise _lacking(api, text)
    try:
        labels = own_labels(found)
    except ValueError as error:
        raise NotPossible(
            msg("{deployment} can be no side of a Service: {why}.", deployment=text, why=str(error)),
            state=msg("Nothing was changed."),
            next_command=api.kubectl("get", text, "-o", "yaml"),
        ) from None
    pods = api.list("Pod", as_query(labels), patience_s=left_s())
    return Group(
        name=name,
        object=found,
        labels=labels,
        pods=tuple(pod for pod in pods if is_of(pod, deployment)),
        strangers=tuple(
            str(pod["metadata"]["name"])
            for pod in pods
            if not (is_of(pod, deployment) or is_ending(pod) or is_over(pod))
        ),
    )


def _reached(slices: list[Object], *, by_port: bool) -> set[str]:
    """Return the names of pods, else the addresses, that are ready to be sent connections; none of those that end.

    Source: kubernetes.io, "EndpointSlices": `ready` that is not told is to be taken for true; pods that lack the ports of the
    Service (`by_port`: it has some) stand in slices without ports, and nobody is sent to them.
    """
    return {
        str((one.get("targetRef") or {}).get("name") or ",".join(one.get("addresses") or ()))
        for each in slices
        if each.get("ports") or not by_port
        for one in each.get("endpoints") or ()
        if (one.get("conditions") or {}).get("ready") is not False
    }


def _lacking(api: Api, what: str) -> TargetUnreachable:
    told: Message = msg("There is no {what} in namespace {namespace}.", what=what, namespace=api.namespace)
    command = api.kubectl("get", "services,deployments")
    kind, _, name = what.partition("/")
    if kind == "deployment":
        # With it, and without pods, requests can be sent to the other sides: whoever deleted a bad release goes on from there.
        stub = api.kubectl("create", "deployment", name, "--image=none", "--replicas=0")
        command += f"   # was it deleted? so that backout can go on without it: {stub}"
    return TargetUnreachable(told, state=msg("This look changed nothing."), next_command=command)

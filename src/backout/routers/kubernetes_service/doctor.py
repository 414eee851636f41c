"""What a rollback at a Service needs, tried without touching anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from backout.errors import BackoutError
from backout.kubernetes.controllers import owners_of
from backout.kubernetes.paths import plural
from backout.message import Message, msg
from backout.observed import Answer
from backout.platforms.base import Diagnosis
from backout.routers.kubernetes_service.autoscalers import autoscalers
from backout.routers.kubernetes_service.labels import as_query
from backout.routers.kubernetes_service.look import Group, Look, strangers
from backout.routers.kubernetes_service.permissions import permissions
from backout.routers.shares import of_hundred

if TYPE_CHECKING:
    from backout.routers.kubernetes_service.router import KubernetesServiceRouter

_SUBJECT = "router kubernetes-service"
_PATIENCE_S = 3.0


def diagnose(router: KubernetesServiceRouter) -> Iterator[Diagnosis]:
    """Yield whether the Service can be read and changed, who is behind it, and who else would change it."""
    try:
        seen = router.look(_PATIENCE_S)
        shares = of_hundred(seen.weights)
    except BackoutError as error:
        yield _line("", False, error.what, error.next_command)
        return
    told = ", ".join(f"{name} {shares[name]} %" for name in router.sides)
    if seen.held:
        evidence = msg("It answers maintenance; requests will go to {shares}.", shares=told)
    else:
        evidence = msg(
            "Requests go to {shares}; it selects {selector}.", shares=told, selector=as_query(seen.selector)
        )
    yield _line("", bool(seen.taking) or None, evidence, router.typed.look)
    yield from _permissions(router)
    for name, one in seen.sides.items():
        yield _side(router, seen, name, one)
    yield from _kept_connections(router, seen)
    yield from _divides_otherwise(router, seen)
    yield _maintenance(router, seen)
    if router.options.replicas is not None:
        yield _replicas(router, seen)
    yield from _owners(router, seen)


def _line(about: str, ok: bool | None, evidence: Message, remedy: str) -> Diagnosis:
    subject = f"{_SUBJECT}: {about}" if about else _SUBJECT
    return Diagnosis(subject=subject, ok=ok, evidence=evidence, remedy=None if ok else remedy)


def _permissions(router: KubernetesServiceRouter) -> Iterator[Diagnosis]:
    needed = permissions(by_replicas=router.options.replicas is not None)
    try:
        missing = [one for one in needed if not router.api.may(one.verb, one.kind)]
    except BackoutError as error:
        yield _line("permissions", None, error.what, error.next_command)
        return
    if not missing:
        yield _line("permissions", True, msg("All {count} that are needed are given.", count=len(needed)), "")
    for one in missing:
        yield _line(
            f"permission {one.verb} {plural(one.kind)}",
            False,
            msg("Not given: {what} will not work.", what=one.needed_for),
            router.api.kubectl("auth", "can-i", one.verb, plural(one.kind))
            + "   # the whole Role: docs/how-to/kubernetes-permissions.md",
        )


def _side(router: KubernetesServiceRouter, seen: Look, name: str, side: Group) -> Diagnosis:
    subject, look = f"side {name}", router.api.kubectl("get", "pods", "-l", as_query(side.labels))
    if side.strangers:
        pods = ", ".join(side.strangers[:3])
        evidence = msg(
            "Pods that are not of {deployment} have its labels: {pods}.",
            deployment=side.deployment,
            pods=pods,
        )
        return _line(subject, False, evidence, look)
    ready, most = len(side.ready), max(len(one.ready) for one in seen.sides.values())
    told = msg("{ready} of {n} pods of {deployment} are ready{why}", ready=ready, n=side.replicas, deployment=side.deployment, why=side.trouble())  # fmt: skip
    if not ready:
        return _line(subject, False, msg("{told}.", told=str(told)), look)
    if ready < most and router.options.replicas is None:
        evidence = msg(
            "{told}, and {most} of another side: it may not carry all requests.", told=str(told), most=most
        )
        remedy = router.api.kubectl("scale", side.deployment, f"--replicas={most}")
        return _line(subject, None, evidence, remedy)
    total = router.options.replicas or 0
    if seen.taking == (name,) and ready < total and not _is_scaled(router, side):
        # A stop that was cut short, or could not scale, leaves it so: requests come first.
        evidence = msg("{told}; it gets all requests, and is to have {total}.", told=str(told), total=total)
        return _line(
            subject, None, evidence, router.api.kubectl("scale", side.deployment, f"--replicas={total}")
        )
    return _line(subject, True, msg("{told}.", told=str(told)), "")


def _is_scaled(router: KubernetesServiceRouter, side: Group) -> bool:
    try:
        return side.deployment in autoscalers(router.api)
    except BackoutError:
        return False


def _kept_connections(router: KubernetesServiceRouter, seen: Look) -> Iterator[Diagnosis]:
    for name, side in seen.sides.items():
        if seen.admits(name) or not (pods := seen.connected(name)):
            continue
        evidence = msg(
            "Side {side} gets no new connections; {n} of its pods are older than that: connections that clients kept may reach "
            "them still.",
            side=name,
            n=len(pods),
        )
        remedy = (
            router.api.kubectl("delete", "pod", "-l", as_query(side.labels)) + "   # each is started again"
        )
        yield _line(f"kept connections of {name}", None, evidence, remedy)


def _divides_otherwise(router: KubernetesServiceRouter, seen: Look) -> Iterator[Diagnosis]:
    """Tell what EndpointSlices do not: who is reached depends on the node, or on more than readiness.

    Source: kubernetes.io, "Virtual IPs and Service Proxies", traffic policies; "Service v1", publishNotReadyAddresses.
    """
    spec = seen.service["spec"]
    for key in ("externalTrafficPolicy", "internalTrafficPolicy"):
        if spec.get(key) == "Local":
            evidence = msg(
                "{key} is Local: a node without a ready pod of the side that gains forwards nothing, and backout looks at no nodes.",
                key=key,
            )
            yield _line(key, None, evidence, router.api.kubectl("get", "pods", "-o", "wide"))
    if spec.get("publishNotReadyAddresses"):
        evidence = msg("Connections are sent to pods that are not ready, too: a shift waits until all are.")
        yield _line("publishNotReadyAddresses", None, evidence, router.typed.look)


def _maintenance(router: KubernetesServiceRouter, seen: Look) -> Diagnosis:
    page = seen.maintenance
    if page is None:
        evidence = msg(
            "No Deployment is declared that answers maintenance: `backout hold` cannot hold requests here."
        )
        return _line("maintenance", None, evidence, "router.maintenance in backout.yaml: deployment/NAME")
    if page.is_gone:
        evidence = msg("There is no {page} that would answer maintenance.", page=page.deployment)
        return _line("maintenance", False, evidence, router.api.kubectl("get", "deployments"))
    told = msg("{ready} of {n} pods of {deployment} are ready{why}.", ready=len(page.ready), n=page.replicas, deployment=page.deployment, why=page.trouble())  # fmt: skip
    return _line(
        "maintenance", bool(page.ready), told, router.api.kubectl("get", "pods", "-l", as_query(page.labels))
    )


def _replicas(router: KubernetesServiceRouter, seen: Look) -> Diagnosis:
    total, wide = router.options.replicas, seen.wide()
    edit = "${EDITOR:-vi} backout.yaml   # router.replicas"
    if not wide:
        return _line(
            "replicas", False, msg("The sides have no label in common that the Service could select."), edit
        )
    try:
        scaled = {d: hpa for d, hpa in autoscalers(router.api).items() if d in router.options.sides.values()}
        found = strangers(router.api, wide, seen.sides)
    except BackoutError as error:
        return _line("replicas", None, error.what, error.next_command)
    if scaled:
        told = ", ".join(f"{hpa} scales {deployment}" for deployment, hpa in scaled.items())
        evidence = msg("{told}: replicas make no shares, all requests go to one side.", told=told)
        return _line("replicas", False, evidence, router.api.kubectl("get", "hpa"))
    if found:
        evidence = msg(
            "Pods of no side have the labels that the sides have in common: {pods}.",
            pods=", ".join(found[:3]),
        )
        return _line("replicas", False, evidence, router.api.kubectl("get", "pods", "-l", as_query(wide)))
    evidence = msg(
        "{n} replicas divide requests in steps of {step} %.", n=total, step=f"{100 / (total or 1):g}"
    )
    return _line("replicas", True, evidence, "")


def _owners(router: KubernetesServiceRouter, seen: Look) -> Iterator[Diagnosis]:
    things = [(f"service/{router.options.service}", seen.service)]
    if router.options.replicas is not None:
        things += [(one.deployment, one.object) for one in seen.sides.values()]
    for owner in owners_of(router.api, things, _PATIENCE_S):
        ok = {Answer.YES: False, Answer.NO: True, Answer.UNKNOWN: None}[owner.reverts]
        yield _line(f"owner {owner.name}", ok, owner.evidence, owner.stop or router.typed.look)

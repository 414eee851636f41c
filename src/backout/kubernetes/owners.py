"""Who else owns a workload: what its labels, annotations, owner references and field managers say. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from backout.message import Message, msg
from backout.observed import Answer, Owner

Object = dict[str, Any]

_ARGO_TRACKING, _ARGO_LABEL = "argocd.argoproj.io/tracking-id", "app.kubernetes.io/instance"
"""Source: argo-cd.readthedocs.io 3.1, "Resource Tracking"."""
_FLUX_KUSTOMIZE, _FLUX_HELM = "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"
"""Source: fluxcd.io v2.6, "Kustomization", "HelmRelease": labels ``…/name`` and ``…/namespace``."""
_HELM_RELEASE, _HELM_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
_MANAGED_BY = "app.kubernetes.io/managed-by"
"""Source: helm.sh v3, "Labels and Annotations"; k8s `helm install --take-ownership`."""
_FLEET = "objectset.rio.cattle.io/id"
"""Source: github.com/rancher/wrangler v3, pkg/apply: on what Fleet and other parts of Rancher apply."""

_BY_HAND = ("kubectl", "backout", "k9s", "Mozilla", "before-first-apply")
"""How programs begin to be called that write when a person tells them to; `Mozilla`: a dashboard in a browser."""
_OF_KUBERNETES = ("kube-",)
_KIND_OF = {
    "argocd": "argocd",
    "kustomize-controller": "flux",
    "helm-controller": "flux",
    "helm": "helm",
    "fleet": "fleet",
}
"""Kind by how a field manager's name begins."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One sign that somebody owns a workload.

    Attributes:
        owner: As far as the workload itself tells.
        asks: Path of the object that tells more; None: there is none.
    """

    owner: Owner
    asks: str | None = None


def claims_of(workload: str, obj: Object) -> tuple[Claim, ...]:
    """Return who owns a workload besides whoever types commands, the surest sign of each first.

    Args:
        workload: As people call it: ``deployment/web``.
        obj: As the API server gives it.
    """
    found = [*_argo(workload, obj), *_flux(workload, obj), *_fleet(workload, obj), *_operator(workload, obj)]
    if not found:
        found = list(_helm(workload, obj))
    kinds = {claim.owner.kind for claim in found}
    return (*found, *(c for c in _managers(workload, obj) if c.owner.kind not in kinds))


def joined(owners: Sequence[Owner]) -> tuple[Owner, ...]:
    """Return each owner once, with all that it owns; of several answers the one that is feared most."""
    by_name: dict[tuple[str, str], Owner] = {}
    for one in owners:
        there = by_name.get((one.kind, one.name))
        if there is None:
            by_name[one.kind, one.name] = one
            continue
        worse = min(there, one, key=lambda o: (Answer.YES, Answer.UNKNOWN, Answer.NO).index(o.reverts))
        owns = tuple(dict.fromkeys((*there.owns, *one.owns)))
        by_name[one.kind, one.name] = worse.model_copy(update={"owns": owns})
    return tuple(by_name.values())


def _meta(obj: Object, part: str) -> Any:
    return (obj.get("metadata") or {}).get(part) or {}


def _claim(
    kind: str, name: str, workload: str, evidence: Message, *, reverts: Answer = Answer.UNKNOWN,
    stop: str | None = None, asks: str | None = None,
) -> Claim:  # fmt: skip
    owner = Owner(
        kind=kind, name=name, owns=(workload,), reverts=reverts, evidence=evidence, stop=stop,
    )  # fmt: skip
    return Claim(owner, asks)


def _argo(workload: str, obj: Object) -> Iterator[Claim]:
    tracking = _meta(obj, "annotations").get(_ARGO_TRACKING)
    label = _meta(obj, "labels").get(_ARGO_LABEL)
    writes = any(name.startswith("argocd") for name, _ in managers_of(obj))
    # The label alone is one that everybody is told to set.
    app = tracking.partition(":")[0] if tracking else label if writes else None
    if not app:
        return
    namespace, _, name = app.rpartition("_")  # "Applications in any namespace" puts it in front
    evidence = msg("Argo CD tracks {workload} as part of application {name}", workload=workload, name=name)
    yield _claim(
        "argocd",
        name,
        workload,
        evidence,
        stop=f"argocd app set {namespace + '/' if namespace else ''}{name} --sync-policy none",
        asks=f"apis/argoproj.io/v1alpha1/namespaces/{namespace or 'argocd'}/applications/{name}",
    )


def _flux(workload: str, obj: Object) -> Iterator[Claim]:
    labels, annotations = _meta(obj, "labels"), _meta(obj, "annotations")
    for group, version, kind in (
        (_FLUX_KUSTOMIZE, "v1", "Kustomization"),
        (_FLUX_HELM, "v2", "HelmRelease"),
    ):
        name, namespace = labels.get(f"{group}/name"), labels.get(f"{group}/namespace", "flux-system")
        if not name:
            continue
        off = annotations.get(f"{_FLUX_KUSTOMIZE}/reconcile") == "disabled"
        evidence = msg("Flux applies {workload} from {kind} {name}", workload=workload, kind=kind, name=name)
        if off and group == _FLUX_KUSTOMIZE:
            evidence = msg("{workload} is annotated for Flux to leave it alone", workload=workload)
        yield _claim(
            "flux",
            name,
            workload,
            evidence,
            reverts=Answer.NO if off and group == _FLUX_KUSTOMIZE else Answer.UNKNOWN,
            stop=f"flux suspend {kind.lower()} {name} -n {namespace}",
            asks=None if off else f"apis/{group}/{version}/namespaces/{namespace}/{kind.lower()}s/{name}",
        )


def _fleet(workload: str, obj: Object) -> Iterator[Claim]:
    name = _meta(obj, "annotations").get(_FLEET)
    if name:
        evidence = msg("Rancher (Fleet) applies {workload} as part of {name}", workload=workload, name=name)
        yield _claim("fleet", name, workload, evidence)


def _operator(workload: str, obj: Object) -> Iterator[Claim]:
    for owner in _meta(obj, "ownerReferences") or ():
        if owner.get("controller"):
            kind, name = str(owner["kind"]), str(owner["name"])
            evidence = msg(
                "{workload} is made by the controller of {kind} {name}",
                workload=workload,
                kind=kind,
                name=name,
            )
            yield _claim("operator", f"{kind}/{name}", workload, evidence)


def _helm(workload: str, obj: Object) -> Iterator[Claim]:
    name = _meta(obj, "annotations").get(_HELM_RELEASE)
    if name and _meta(obj, "labels").get(_MANAGED_BY) == "Helm":
        evidence = msg(
            "{workload} is of Helm release {name}: the next helm upgrade brings back what its chart says",
            workload=workload,
            name=name,
        )
        yield _claim("helm", name, workload, evidence, reverts=Answer.NO)


def managers_of(obj: Object) -> tuple[tuple[str, str], ...]:
    """Return name and operation of who wrote what the pods run (fields below ``spec.template.spec``).

    Source: kubernetes.io, "Server-Side Apply", managedFields.
    """
    found = []
    for entry in _meta(obj, "managedFields") or ():
        fields = entry.get("fieldsV1") or {}
        if "f:spec" in ((fields.get("f:spec") or {}).get("f:template") or {}):
            found.append((str(entry.get("manager") or "(no name)"), str(entry.get("operation"))))
    return tuple(dict.fromkeys(found))


def _managers(workload: str, obj: Object) -> Iterator[Claim]:
    """Yield programs that nobody types: whether they write again by themselves is not known."""
    for name, operation in managers_of(obj):
        if name.startswith((*_BY_HAND, *_OF_KUBERNETES)):
            continue
        kind = next((k for begin, k in _KIND_OF.items() if name.startswith(begin)), "manager")
        evidence = msg(
            "{manager} wrote the pod template of {workload} ({operation}): whether it writes it again by itself "
            "is not known",
            manager=name,
            workload=workload,
            operation="server-side apply" if operation == "Apply" else operation.lower(),
        )
        if kind == "helm":
            evidence = msg(
                "{manager} wrote the pod template of {workload}: the next upgrade writes it again",
                manager=name,
                workload=workload,
            )
        yield _claim(kind, name, workload, evidence, reverts=Answer.NO if kind == "helm" else Answer.UNKNOWN)

"""What Argo CD and Flux are told to do with what they own: their own objects, where we may read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from backout.errors import BackoutError
from backout.kubernetes.api import Api
from backout.kubernetes.owners import Claim, claims_of, joined
from backout.message import Message, msg
from backout.observed import Answer, Owner

Object = dict[str, Any]

_PATIENCE_S = 1.0
_REVISION = re.compile(r"(?:(?P<branch>.+)@)?(?:sha1:)?(?P<commit>[0-9a-f]{7,64})")
"""Source: fluxcd.io v2.6, "Kustomization", last applied revision: ``main@sha1:…``."""


def owners_of(api: Api, things: Sequence[tuple[str, Object]], patience_s: float) -> tuple[Owner, ...]:
    """Return who else owns things of the cluster; what cannot be asked stays unknown. Never raises.

    Args:
        api: The cluster.
        things: As people call them (``deployment/web``), and as the API server gives them.
        patience_s: How long it is waited for, for each owner that tells more.
    """
    asked: dict[str, Object | Message] = {}
    found = []
    for claim in (c for name, obj in things for c in claims_of(name, obj)):
        if claim.asks is not None and claim.asks not in asked:
            asked[claim.asks] = _ask(api, claim.asks, min(patience_s, _PATIENCE_S))
        found.append(judged(claim, asked[claim.asks]) if claim.asks is not None else claim.owner)
    return joined(found)


def _ask(api: Api, path: str, patience_s: float) -> Object | Message:
    try:
        answer = api.request("GET", path, patience_s=patience_s).json()
    except BackoutError as error:
        return error.what
    except ValueError:
        return msg("the answer is not JSON")
    return answer if isinstance(answer, dict) else msg("the answer is no object")


def judged(claim: Claim, answer: Object | Message) -> Owner:
    """Return the owner with what its own object says, or why that cannot be told. Pure."""
    owner = claim.owner
    if isinstance(answer, Message):
        return owner.model_copy(
            update={
                "evidence": msg(
                    "{evidence}; whether it takes changes back cannot be read: {why}",
                    evidence=str(owner.evidence),
                    why=str(answer),
                )
            }
        )
    judge = _argo if owner.kind == "argocd" else _flux_helm if "helmreleases" in (claim.asks or "") else _flux
    return judge(owner, answer.get("spec") or {}, answer.get("status") or {})


def _told(owner: Owner, reverts: Answer, what: Message, **more: object) -> Owner:
    evidence = msg("{evidence}: {what}", evidence=str(owner.evidence), what=str(what))
    return owner.model_copy(update={"reverts": reverts, "evidence": evidence, **more})


def _argo(owner: Owner, spec: Object, status: Object) -> Owner:
    """Source: argo-cd.readthedocs.io 3.1, "Automated Sync Policy": only self-heal undoes a change in the cluster."""
    automated = (spec.get("syncPolicy") or {}).get("automated")
    source = spec.get("source") or (spec.get("sources") or [{}])[0]
    commit = (status.get("sync") or {}).get("revision") or None
    # One commit that was synced twice stands there twice.
    earlier = (h.get("revision") for h in reversed(status.get("history") or ()))
    git = {
        "branch": source.get("targetRevision"),
        "commit": commit,
        "before": next((str(revision) for revision in earlier if revision and revision != commit), None),
    }
    if automated is None or automated.get("enabled") is False:
        return _told(owner, Answer.NO, msg("its automatic sync is off"), paused=Answer.YES, **git)
    if automated.get("selfHeal"):
        return _told(owner, Answer.YES, msg("it heals itself"), **git)
    return _told(owner, Answer.NO, msg("it syncs with the next commit, and not before"), **git)


def _flux(owner: Owner, spec: Object, status: Object) -> Owner:
    found = _REVISION.fullmatch(str(status.get("lastAppliedRevision") or ""))
    git = {"branch": found["branch"], "commit": found["commit"]} if found else {}
    if spec.get("suspend"):
        return _told(owner, Answer.NO, msg("it is suspended"), paused=Answer.YES, **git)
    every = str(spec.get("interval") or "?")
    return _told(owner, Answer.YES, msg("it applies it again every {interval}", interval=every), **git)


def _flux_helm(owner: Owner, spec: Object, _status: Object) -> Owner:
    """Source: fluxcd.io v2.6, "HelmRelease", drift detection: off unless its mode is ``enabled``."""
    if spec.get("suspend"):
        return _told(owner, Answer.NO, msg("it is suspended"), paused=Answer.YES)
    if (spec.get("driftDetection") or {}).get("mode") == "enabled":
        return _told(owner, Answer.YES, msg("it corrects drift"))
    return _told(owner, Answer.NO, msg("it upgrades with the next change of chart or values, and not before"))

"""Who else owns a workload, from what the API server gives of it and of its owners."""

from __future__ import annotations

from typing import Any

import pytest

from backout.kubernetes.controllers import judged
from backout.kubernetes.owners import Claim, claims_of, joined
from backout.message import msg
from backout.observed import Answer, Owner
from backout.platforms.kubernetes.automation import AutomationOptions, declared

TEMPLATE = {"f:spec": {"f:template": {"f:spec": {"f:containers": {}}}}}


def workload(
    *managers: tuple[str, str], labels: dict[str, str] | None = None, **annotations: str
) -> dict[str, Any]:
    fields = [{"manager": m, "operation": o, "fieldsV1": TEMPLATE} for m, o in managers]
    return {"metadata": {"labels": labels or {}, "annotations": annotations, "managedFields": fields}}


def owners(obj: dict[str, Any]) -> list[tuple[str, str, Answer]]:
    return [(c.owner.kind, c.owner.name, c.owner.reverts) for c in claims_of("deployment/web", obj)]


@pytest.mark.parametrize(
    "manager",
    ["kubectl", "kubectl-client-side-apply", "kubectl-rollout", "backout", "kube-controller-manager", "k9s"],
)
def test_who_writes_when_a_person_says_so_is_no_owner(manager: str) -> None:
    assert owners(workload((manager, "Update"), (manager, "Apply"))) == []


def test_a_program_that_nobody_types_may_write_again() -> None:
    assert owners(workload(("shop-operator", "Update"), ("deployer", "Apply"))) == [
        ("manager", "shop-operator", Answer.UNKNOWN),
        ("manager", "deployer", Answer.UNKNOWN),
    ]


def test_who_writes_other_fields_alone_takes_no_release_back() -> None:
    obj = workload()
    other = {"f:spec": {"f:replicas": {}, "f:template": {"f:metadata": {"f:annotations": {}}}}}
    obj["metadata"]["managedFields"] = [{"manager": "hpa", "operation": "Update", "fieldsV1": other}]
    assert owners(obj) == []


@pytest.mark.parametrize(
    ("tracking", "asks", "stop"),
    [
        ("shop:apps/Deployment:prod/web", "namespaces/argocd/applications/shop", "argocd app set shop "),
        ("team_shop:apps/Deployment:prod/web", "namespaces/team/applications/shop", "argocd app set team/shop "),
    ],
)  # fmt: skip
def test_argo_cd_by_its_tracking_id(tracking: str, asks: str, stop: str) -> None:
    (claim,) = claims_of(
        "deployment/web",
        workload(("argocd-controller", "Apply"), **{"argocd.argoproj.io/tracking-id": tracking}),
    )
    assert (claim.owner.kind, claim.owner.name) == ("argocd", "shop")
    assert (claim.asks or "").endswith(asks) and (claim.owner.stop or "").startswith(stop)


def test_the_label_that_everybody_sets_is_argo_cds_only_where_it_writes() -> None:
    labels = {"app.kubernetes.io/instance": "shop"}
    assert owners(workload(labels=labels)) == []
    assert owners(workload(("argocd-controller", "Update"), labels=labels)) == [
        ("argocd", "shop", Answer.UNKNOWN)
    ]


def test_flux_helm_and_operators() -> None:
    flux = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "gitops"}
    (claim,) = claims_of("deployment/web", workload(("kustomize-controller", "Apply"), labels=flux))
    assert claim.asks == "apis/kustomize.toolkit.fluxcd.io/v1/namespaces/gitops/kustomizations/apps"
    assert claim.owner.stop == "flux suspend kustomization apps -n gitops"
    off = workload(labels=flux, **{"kustomize.toolkit.fluxcd.io/reconcile": "disabled"})
    assert owners(off) == [("flux", "apps", Answer.NO)]
    chart = workload(
        ("helm", "Update"),
        labels={"app.kubernetes.io/managed-by": "Helm"},
        **{"meta.helm.sh/release-name": "shop"},
    )
    assert owners(chart) == [("helm", "shop", Answer.NO)]
    made = workload()
    made["metadata"]["ownerReferences"] = [{"kind": "Shop", "name": "main", "controller": True}]
    assert owners(made) == [("operator", "Shop/main", Answer.UNKNOWN)]
    assert owners(workload(**{"objectset.rio.cattle.io/id": "default-shop"})) == [
        ("fleet", "default-shop", Answer.UNKNOWN)
    ]


def owner(kind: str = "argocd", name: str = "shop", **changes: Any) -> Owner:
    told: dict[str, Any] = {
        "kind": kind,
        "name": name,
        "reverts": Answer.UNKNOWN,
        "evidence": msg("it is there"),
    }
    return Owner(**(told | changes))


@pytest.mark.parametrize(
    ("policy", "reverts", "paused"),
    [
        ({"automated": {"selfHeal": True}}, Answer.YES, Answer.UNKNOWN),
        ({"automated": {}}, Answer.NO, Answer.UNKNOWN),
        ({"automated": {"enabled": False, "selfHeal": True}}, Answer.NO, Answer.YES),
        (None, Answer.NO, Answer.YES),
    ],
)
def test_what_an_application_says(policy: object, reverts: Answer, paused: Answer) -> None:
    history = [{"revision": "a1"}, {"revision": "b2"}, {"revision": "b2"}]  # the last one was synced twice
    status = {"sync": {"revision": "b2"}, "history": history}
    app = {"spec": {"syncPolicy": policy, "source": {"targetRevision": "main"}}, "status": status}
    found = judged(Claim(owner(), "…/applications/shop"), app)
    assert (found.reverts, found.paused) == (reverts, paused)
    assert (found.branch, found.commit, found.before) == ("main", "b2", "a1")


def test_what_flux_says() -> None:
    claim = Claim(owner("flux"), "…/kustomizations/shop")
    status = {"lastAppliedRevision": "main@sha1:0123456789abcdef0123456789abcdef01234567"}
    found = judged(claim, {"spec": {"interval": "5m"}, "status": status})
    assert (found.reverts, found.branch, (found.commit or "")[:4]) == (Answer.YES, "main", "0123")
    assert "every 5m" in str(found.evidence)
    assert judged(claim, {"spec": {"suspend": True}}).reverts is Answer.NO
    chart = Claim(owner("flux"), "…/helmreleases/shop")
    assert judged(chart, {"spec": {"driftDetection": {"mode": "enabled"}}}).reverts is Answer.YES
    assert judged(chart, {"spec": {}}).reverts is Answer.NO


def test_what_cannot_be_read_stays_unknown() -> None:
    found = judged(Claim(owner(), "…/applications/shop"), msg("Forbidden"))
    assert found.reverts is Answer.UNKNOWN and "Forbidden" in str(found.evidence)


def test_one_owner_of_several_workloads_is_named_once_by_its_worst_answer() -> None:
    (found,) = joined([owner(owns=("deployment/a",), reverts=Answer.NO), owner(owns=("deployment/b",))])
    assert (found.owns, found.reverts) == (("deployment/a", "deployment/b"), Answer.UNKNOWN)


def options(manager: str, **more: Any) -> AutomationOptions:
    return AutomationOptions.model_validate({"manager": manager} | more)


COMMANDS = {"pause": "stop it", "resume": "start it"}


def test_what_is_declared_is_believed() -> None:
    (pipeline,) = declared([owner("manager", "deployer")], [options("deployer", reverts=False)], {})
    assert (pipeline.reverts, pipeline.pausable) == (Answer.NO, False)
    (argo,) = declared([owner()], [options("argocd", **COMMANDS)], {})
    assert (argo.name, argo.reverts, argo.pausable) == ("argocd", Answer.YES, True)
    (unseen,) = declared([], [options("images", **COMMANDS)], {})
    assert (unseen.name, unseen.reverts, unseen.pausable) == ("images", Answer.YES, True)


def test_what_is_paused_already_reverts_nothing() -> None:
    (argo,) = declared([owner()], [options("argocd", **COMMANDS)], {"argocd": Answer.YES})
    assert (argo.reverts, argo.paused) == (Answer.NO, Answer.YES)
    (off,) = declared([owner(reverts=Answer.NO, paused=Answer.YES)], [options("argocd", **COMMANDS)], {})
    assert (off.reverts, off.paused) == (Answer.NO, Answer.YES)


def test_pause_and_resume_belong_together() -> None:
    with pytest.raises(ValueError, match="belong together"):
        options("argocd", pause="stop it")

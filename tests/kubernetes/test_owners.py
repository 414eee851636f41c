"""Somebody else owns the workload: what would undo a way back is found before any pod restarts, or paused first."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.waiting import until

from backout.platforms.kubernetes.options import KubernetesOptions

from .service import NAME, ROOT, KubeService

pytestmark = pytest.mark.slow

_CONTROLLER = """\
while :; do
  [ -e paused ] || {kubectl} apply --server-side --force-conflicts --field-manager=reverter -f wanted.json && echo >> ticks
  sleep {interval}
done
"""


class Reverter:
    """A controller of its own: every two seconds it applies its manifest, unless a file says that it is paused."""

    def __init__(self, service: KubeService, folder: Path) -> None:
        self.folder, self._service = folder, service
        folder.mkdir()
        node = service.node
        kubectl = f"{node.home.program('kubectl')} --kubeconfig={node.kubeconfig} -n {service.namespace}"
        self.want("2.0.0")
        self._script = _CONTROLLER.format(kubectl=kubectl, interval=2)
        self._process: subprocess.Popen[bytes] | None = None

    def want(self, version: str) -> None:
        """Let a version stand where it takes its state from, as after a commit."""
        wanted = next(o for o in self._service.manifest(version) if o["kind"] == "Deployment")
        draft = self.folder / "draft.json"
        draft.write_text(json.dumps(wanted))
        draft.rename(self.folder / "wanted.json")

    def start(self) -> None:
        """Begin, and wait until it owns the workload."""
        with (self.folder / "log").open("wb") as log:
            command = ["sh", "-c", self._script]
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        self.acted()

    @property
    def ticks(self) -> int:
        file = self.folder / "ticks"
        return len(file.read_text()) if file.exists() else 0

    def acted(self) -> None:
        """Wait until it has applied, from beginning to end, once more."""
        seen = self.ticks
        until(lambda: self.ticks >= seen + 2)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def reverter(fresh: KubeService, tmp_path: Path) -> Iterator[Reverter]:
    made = Reverter(fresh, tmp_path / "reverter")
    yield made
    made.close()


def test_what_would_undo_it_refuses_before_any_pod_restarts_or_is_paused_first(
    fresh: KubeService, reverter: Reverter
) -> None:
    cli = fresh.configure()
    fresh.recorded(cli)
    reverter.start()
    before = fresh.pod_uids()
    told = cli("run", "--yes").refused(
        4,
        what="reverter wrote the pod template.*git revert",
        now="2.0.0 still runs",
        next="automation:reverter",
    )
    assert "server-side apply" in told.everything
    cli = fresh.configure(automation=[{"manager": "reverter"}])
    cli("run", "--yes").refused(
        8, what="reverter.*would undo the way back", now="Nothing was changed", next="accept"
    )
    emergency = ("run", "--emergency", "--scenario", "code", "--reason", "it burns", "--yes")
    cli(*emergency).refused(8, what="reverter", now="Nothing was changed", next="accept")
    assert fresh.pod_uids() == before

    pause = {
        "pause": ["touch", str(reverter.folder / "paused")],
        "resume": ["rm", "-f", str(reverter.folder / "paused")],
        "probe": ["test", "-e", str(reverter.folder / "paused")],
    }
    cli = fresh.configure(automation=[{"manager": "reverter", **pause}])
    assert "Pause reverter" in cli("plan").ended(0).out
    done = cli("run", "--yes").ended(0)
    assert "reverter is paused. Once git says the same, let it go on:  rm -f" in done.out
    assert fresh.served() == ["1.0.0"]
    assert "reverter is paused" in cli("status").ended(0).out
    assert "paused    reverter is paused since" in cli().out
    (reverter.folder / "paused").unlink()
    reverter.acted()
    until(lambda: fresh.served() == ["2.0.0"])
    until(lambda: "  paused  " not in cli().out)


def test_the_way_back_in_git_is_proven(fresh: KubeService, reverter: Reverter) -> None:
    cli = fresh.configure()
    fresh.recorded(cli)
    reverter.start()
    cli("run", "--yes").refused(4, what="git revert.*backout verify proves it", now="2.0.0", next="accept")
    reverter.want("1.0.0")
    until(lambda: fresh.served() == ["1.0.0"])
    fresh.rolled_out()
    # Until the last pod of 2.0.0 has ended, it is not proven.
    until(lambda: cli("verify").code == 0)
    assert "all of 1.0.0" in cli("verify").ended(0).everything


def test_undone_it_goes_on(fresh: KubeService, reverter: Reverter) -> None:
    paused = reverter.folder / "paused"
    words = {"pause": ["touch", str(paused)], "resume": ["rm", "-f", str(paused)]}
    cli = fresh.configure(automation=[{"manager": "reverter", **words}], rollout_timeout_s=4)
    fresh.recorded(cli)
    reverter.start()
    fresh.kubectl("create", "quota", "none", "--hard=pods=1")  # no pod can be made beside the one that runs
    failed = cli("run", "--yes").ended(5)
    assert paused.exists()
    assert "exceeded quota" in failed.err
    fresh.kubectl("delete", "quota", "none")
    cli("abort", "--yes").ended(0)
    assert not paused.exists()
    assert fresh.served() == ["2.0.0"]


def kind_of(group: str, version: str, kind: str) -> dict[str, object]:
    """Return what makes the API server know a kind of a GitOps controller, whatever it says."""
    plural = f"{kind.lower()}s"
    whole = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": whole}}
    names = {"kind": kind, "plural": plural}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [served]},
    }


APPLICATIONS = kind_of("argoproj.io", "v1alpha1", "Application")
KUSTOMIZATIONS = kind_of("kustomize.toolkit.fluxcd.io", "v1", "Kustomization")


def known_to_the_server(service: KubeService, kind: dict[str, object]) -> None:
    service.apply(kind)
    service.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", "-", stdin=json.dumps(kind))


def may_read_owners(service: KubeService) -> None:
    role = (ROOT / "deploy" / "gitops-permissions.yaml").read_text()
    service.kubectl("apply", "-f", "-", stdin=role.replace("SERVICE-NAMESPACE", service.namespace))


def application(policy: object) -> dict[str, object]:
    spec = {"syncPolicy": policy, "source": {"targetRevision": "main", "repoURL": "https://git.test/shop"}}
    status = {"sync": {"revision": "b" * 40}, "history": [{"revision": "a" * 40}, {"revision": "b" * 40}]}
    meta = {"name": "shop"}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": meta,
        "spec": spec,
        "status": status,
    }


def test_argo_cd_and_helm_are_named(service: KubeService) -> None:
    cli, known = service.configure(), ("--accept", "schema-unknown")
    service.kubectl("label", NAME, "app.kubernetes.io/managed-by=Helm")
    service.kubectl("annotate", NAME, "meta.helm.sh/release-name=shop")
    assert "Helm release shop: the next helm upgrade" in cli("plan", *known).ended(0).out
    # An application in the namespace of the service itself: Argo CD then writes the namespace before its name.
    known_to_the_server(service, APPLICATIONS)
    service.apply(application({"automated": {"selfHeal": True}}))
    tracking = f"{service.namespace}_shop:apps/Deployment:{service.namespace}/collector"
    service.kubectl("annotate", NAME, f"argocd.argoproj.io/tracking-id={tracking}")
    stop = f"argocd app set {service.namespace}/shop --sync-policy none"
    cli("run", "--yes", *known).refused(
        4,
        what="shop; whether it takes changes back cannot be read: The cluster refuses",
        now="2.0.0",
        next=stop,
    )
    may_read_owners(service)
    old, new = "a" * 40, "b" * 40
    cli("run", "--yes", *known).refused(
        8,
        what=rf"it heals itself.*on main: git revert --no-edit {old}\.\.{new} && git push \(git diff {new} {old}",
        now="2.0.0",
        next=stop,
    )
    assert "owner shop" in cli("doctor").out
    service.apply(application({"automated": {}}))
    assert "it syncs with the next commit, and not before" in cli("plan", *known).ended(0).out


def test_flux_is_named(fresh: KubeService) -> None:
    cli, known = fresh.configure(), ("--accept", "schema-unknown")
    known_to_the_server(fresh, KUSTOMIZATIONS)
    labels = {"name": "shop", "namespace": fresh.namespace}
    for key, value in labels.items():
        fresh.kubectl("label", NAME, f"kustomize.toolkit.fluxcd.io/{key}={value}")
    stop = f"flux suspend kustomization shop -n {fresh.namespace}"
    cli("run", "--yes", *known).refused(4, what="cannot be read: The cluster refuses", now="2.0.0", next=stop)
    may_read_owners(fresh)
    applied = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "shop"},
        "spec": {"interval": "5m"},
        "status": {"lastAppliedRevision": f"main@sha1:{'b' * 40}"},
    }
    fresh.apply(applied)
    cli("run", "--yes", *known).refused(
        8, what=f"again every 5m.*on main: git revert --no-edit {'b' * 40}", now="2.0.0", next=stop
    )
    fresh.apply(applied | {"spec": {"interval": "5m", "suspend": True}})
    cli("run", "--yes", *known).ended(0)
    assert fresh.served() == ["1.0.0"]


def test_what_the_page_declares_is_taken() -> None:
    page = (ROOT / "docs" / "how-to" / "kubernetes-gitops.md").read_text()
    block = page.split("<!-- tested: tests/kubernetes/test_owners.py -->\n```yaml\n")[1].split("```")[0]
    told = yaml.safe_load(block)["platform"]
    told.pop("kind")
    flux = next(a for a in KubernetesOptions.model_validate(told).automation if a.manager == "flux")
    assert flux.probe is not None and flux.probe[0] == "sh"

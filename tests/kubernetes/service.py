"""The demo's service in a namespace of its own."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from tests.command_line import Cli, Done

from backout.clock import SystemClock
from backout.embedded.server import EmbeddedPostgres
from backout.platforms.base import Site
from backout.platforms.kubernetes import KubernetesPlatform
from backout.platforms.kubernetes.options import KubernetesOptions
from backout.redact import Redactor
from testbed import collector
from testbed.node import Node

ROOT = Path(__file__).parents[2]
PERMISSIONS = ROOT / "deploy" / "permissions.yaml"
VERSIONS = ("1.0.0", "2.0.0", "3.0.0")
NAME = "deployment/collector"
IMAGES: dict[str, str] = {}
"""Name by digest of each version's image, filled when the node has them."""


class KubeService:
    """The collector as a Deployment behind a Service; of version 2.0.0, after it was of 1.0.0.

    Args:
        replicas: Pods of it.
    """

    name = NAME

    def __init__(self, node: Node, database: EmbeddedPostgres, folder: Path, *, replicas: int = 1) -> None:
        self.node, self.database, self.folder, self.replicas = node, database, folder, replicas
        self.namespace = f"test-{uuid4().hex[:8]}"
        node.kubectl("create", "namespace", self.namespace)
        self.kubectl("create", "secret", "generic", "collector", f"--from-literal=url={database.inside_url}")
        self.kubectl("apply", "-f", str(PERMISSIONS))
        self.apply(*self.manifest("1.0.0"))
        self.rolled_out()
        self.set_version("2.0.0")
        self.rolled_out()
        self.kubeconfig = node.kubeconfig_of("backout", folder / "kubeconfig", namespace=self.namespace)
        platform = self.platform()
        self.refs = {version: platform.identify(version).ref for version in ("1.0.0", "2.0.0")}

    def close(self) -> None:
        self.node.kubectl("delete", "namespace", self.namespace, "--wait=false")

    # --- as somebody with kubectl -----------------------------------------------------------------

    def kubectl(self, *words: str, **more: Any) -> str:
        return str(self.node.kubectl("-n", self.namespace, *words, **more).stdout)

    def manifest(self, version: str) -> tuple[dict[str, Any], ...]:
        objects = tuple(yaml.safe_load_all(collector.MANIFEST.read_text()))
        deployment = next(o for o in objects if o["kind"] == "Deployment")
        deployment["spec"]["replicas"] = self.replicas
        deployment["spec"]["template"] = _merged(deployment["spec"]["template"], self.template(version))
        self.shape(deployment)
        return objects

    def shape(self, workload: dict[str, Any]) -> None:
        """Make another kind of workload of the Deployment, in place."""

    def template(self, version: str) -> dict[str, Any]:
        """Return what a version changes in the template: the image by its digest, and what it is called."""
        return {
            "metadata": {"labels": {"app": "collector", "app.kubernetes.io/version": version}},
            "spec": {"containers": [{"name": "collector", "image": IMAGES[version]}]},
        }

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def set_version(self, version: str) -> None:
        self.kubectl("patch", self.name, "-p", self.json_patch(version))

    def json_patch(self, version: str) -> str:
        """Return what `kubectl patch` takes to deploy a version."""
        return json.dumps({"spec": {"template": self.template(version)}})

    def set_image(self, image: str) -> None:
        """As `kubectl set image`."""
        self.kubectl("set", "image", self.name, f"collector={image}")

    def rolled_out(self) -> None:
        self.kubectl("rollout", "status", self.name, "--timeout=110s")

    def patch(self, patch: dict[str, Any], name: str | None = None) -> None:
        self.kubectl("patch", name or self.name, "--type=merge", "-p", json.dumps(patch))

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def served(self) -> list[str]:
        """Return the version of every pod that gets requests, as the pod itself says."""
        slices = self.get("endpointslices", "-l", "kubernetes.io/service-name=collector")["items"]
        ready = [e for s in slices for e in s.get("endpoints") or () if e["conditions"].get("ready")]
        return [_health(f"http://{e['addresses'][0]}:8080")["version"] for e in ready]

    @property
    def url(self) -> str:
        """The Service's address; it works from the host."""
        return f"http://{self.get('service', 'collector')['spec']['clusterIP']}"

    def pods(self, labels: str = "app=collector") -> list[dict[str, Any]]:
        """Return the pods that are not about to end."""
        found = self.get("pods", "-l", labels)["items"]
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def pod_uids(self) -> set[str]:
        return {pod["metadata"]["uid"] for pod in self.pods()}

    def snapshot(self) -> object:
        """Return everything that a look must not change: all but what the cluster's controllers observe."""
        found = self.get(
            "deployments,replicasets,configmaps,leases,statefulsets,daemonsets,controllerrevisions"
        )["items"]
        for thing in found:
            thing.pop("status", None)
            del thing["metadata"]["resourceVersion"]
            thing["metadata"].pop("managedFields", None)
        return found

    # --- as backout -------------------------------------------------------------------------------

    def configure(self, *, folder: Path | None = None, text: str = "", **platform: Any) -> Cli:
        """Write `backout.yaml` into a folder (a laptop), and return the command line there."""
        folder = folder or self.folder
        folder.mkdir(exist_ok=True)
        options = {
            "kind": "kubernetes",
            "workloads": [self.name],
            "kubeconfig": str(self.kubeconfig),
        } | platform
        health = {"status": "ok", "database": "connected"}
        checks = [
            {"kind": "http", "url": f"{self.url}/health", "expect_json": health},
            {"kind": "probes", "url": f"{self.url}/reports?tenant=probe", "count": 60, "per_second": 200,
             "max_error_rate": 0.1, "max_p95_ms": 20000},
        ]  # fmt: skip
        told = {
            "service": "collector",
            "environment": "production",
            "platform": options,
            "database": {"kind": "postgres", "url": "${DATABASE_URL}"},
            "checks": checks,
        }
        (folder / "backout.yaml").write_text(yaml.safe_dump(told) + text)
        environ = {**os.environ, "DATABASE_URL": self.database.url, "NO_COLOR": "1", "COLUMNS": "200"}
        environ |= {"XDG_STATE_HOME": str(folder / "xdg"), "HOME": str(folder)}
        environ.pop("KUBECONFIG", None)
        return Cli(folder, environ)

    def recorded(self, cli: Cli) -> Done:
        """Let 1.0.0 be deployed and recorded, then 2.0.0, as a deploy pipeline would."""
        self.set_version("1.0.0")
        self.rolled_out()
        cli("record", "--state", "good", "--no-checks").ended(0)
        self.set_version("2.0.0")
        self.rolled_out()
        return cli("record", "--no-checks").ended(0)

    def platform(self, service: str | None = None, **options: Any) -> KubernetesPlatform:
        told = {
            "workloads": (self.name,),
            "kubeconfig": str(self.kubeconfig),
            "namespace": self.namespace,
        } | options
        name = service or f"collector-{uuid4().hex[:6]}"
        site = Site(name, "production", self.folder, os.environ, SystemClock(), Redactor())
        return KubernetesPlatform.create(KubernetesOptions(**told), site)


def _merged(whole: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    whole["metadata"] = part["metadata"]
    whole["spec"]["containers"][0] |= part["spec"]["containers"][0]
    return whole


def _health(url: str) -> dict[str, str]:
    with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
        read: dict[str, str] = json.load(answer)
    return read

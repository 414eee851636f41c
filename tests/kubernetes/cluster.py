"""A service that does nothing, on whichever cluster: the tests' own node, or the one of BACKOUT_TEST_KUBECONFIG."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from backout.clock import SystemClock
from backout.platforms.base import Site
from backout.platforms.kubernetes import KubernetesPlatform
from backout.platforms.kubernetes.options import KubernetesOptions
from backout.redact import Redactor
from testbed import pause_image
from testbed.home import Home
from testbed.images import Layer
from testbed.node import Node

from .service import NAME, PERMISSIONS, VERSIONS

KUBECONFIG, IMAGES = "BACKOUT_TEST_KUBECONFIG", "BACKOUT_TEST_IMAGES"
"""A kubeconfig whose user may make namespaces and roles; three images that the cluster can have and that go on without a word."""


class PlainService:
    """A Deployment with a Service in a namespace of its own; of version 2.0.0, after it was of 1.0.0.

    Args:
        kubectl: The program.
        kubeconfig: Of somebody who may make namespaces and roles.
        images: By version.
    """

    def __init__(self, kubectl: Path, kubeconfig: Path, images: Mapping[str, str], folder: Path) -> None:
        self._kubectl, self._admin, self.images, self.folder = kubectl, kubeconfig, images, folder
        self.namespace = f"backout-test-{uuid4().hex[:8]}"
        self._asked("create", "namespace", self.namespace)
        self.kubectl("apply", "-f", str(PERMISSIONS))
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(self._manifest()))
        self.rolled_out()
        self.set_version("2.0.0")
        self.rolled_out()
        self.kubeconfig = self._kubeconfig_of_backout()
        platform = self.platform()
        self.refs = {version: platform.identify(version).ref for version in ("1.0.0", "2.0.0")}

    def close(self) -> None:
        self._asked("delete", "namespace", self.namespace, "--wait=false")

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        return self._asked("-n", self.namespace, *words, stdin=stdin)

    def set_version(self, version: str) -> None:
        self.kubectl("patch", NAME, "-p", json.dumps({"spec": {"template": self._template(version)}}))

    def rolled_out(self) -> None:
        self.kubectl("rollout", "status", NAME, "--timeout=110s")

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def served(self) -> list[str]:
        """Return the ref of every pod that would get requests, by the image that it has."""
        versions = {image: version for version, image in self.images.items()}
        slices = self.get("endpointslices", "-l", "kubernetes.io/service-name=collector")["items"]
        ready = {
            e["targetRef"]["name"]
            for s in slices
            for e in s.get("endpoints") or ()
            if e["conditions"]["ready"]
        }
        pods = [p for p in self.get("pods")["items"] if p["metadata"]["name"] in ready]
        return [self.refs[versions[p["spec"]["containers"][0]["image"]]] for p in pods]

    def pod_uids(self) -> set[str]:
        pods = self.get("pods", "-l", "app=collector")["items"]
        return {p["metadata"]["uid"] for p in pods if not p["metadata"].get("deletionTimestamp")}

    def snapshot(self) -> object:
        """Return everything that a look must not change."""
        found = self.get("deployments,replicasets,configmaps,leases")["items"]
        for thing in found:
            thing.pop("status", None)
            del thing["metadata"]["resourceVersion"]
            thing["metadata"].pop("managedFields", None)
        return found

    def platform(self) -> KubernetesPlatform:
        options = KubernetesOptions(
            workloads=(NAME,), kubeconfig=str(self.kubeconfig), namespace=self.namespace
        )
        name = f"collector-{uuid4().hex[:6]}"
        site = Site(name, "production", self.folder, os.environ, SystemClock(), Redactor())
        return KubernetesPlatform.create(options, site)

    def _asked(self, *words: str, stdin: str | None = None) -> str:
        command = [str(self._kubectl), "--kubeconfig", str(self._admin), *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=150)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    def _template(self, version: str) -> dict[str, Any]:
        return {
            "metadata": {"labels": {"app": "collector", "app.kubernetes.io/version": version}},
            "spec": {"containers": [{"name": "collector", "image": self.images[version]}]},
        }

    def _manifest(self) -> tuple[dict[str, Any], ...]:
        selector, template = {"app": "collector"}, self._template("1.0.0")
        template["spec"] |= {"terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False}
        deployment = {"replicas": 1, "selector": {"matchLabels": selector}, "template": template}
        return (
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "collector"}, "spec": deployment},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "collector"},
             "spec": {"selector": selector, "ports": [{"port": 80}]}},
        )  # fmt: skip

    def _kubeconfig_of_backout(self) -> Path:
        """Write the kubeconfig of the documented Role's account, at the same cluster."""
        whole = json.loads(self._asked("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
        token = self.kubectl("create", "token", "backout", "--duration=3600s").strip()
        whole["users"] = [{"name": "backout", "user": {"token": token}}]
        whole["contexts"][0]["context"]["user"] = "backout"
        to = self.folder / f"kubeconfig-{self.namespace}"
        to.write_text(json.dumps(whole))
        return to


@contextmanager
def plain_service(folder: Path) -> Iterator[PlainService]:
    """Run the service on the cluster that is named, else on the node."""
    named = os.environ.get(KUBECONFIG)
    if named:
        images = os.environ.get(IMAGES, "").split(",")
        by_digest = {image for image in images if "@sha256:" in image}
        assert len(by_digest) == len(VERSIONS), (
            f"{IMAGES} has to name three images by their digests, with commas between: NAME@sha256:…,…"
        )
        program = shutil.which("kubectl") or str(Home.default().program("kubectl"))
        made = PlainService(Path(program), Path(named), dict(zip(VERSIONS, images, strict=True)), folder)
    else:
        made = _on_the_node(folder)
    try:
        yield made
    finally:
        made.close()


def _on_the_node(folder: Path) -> PlainService:
    node = Node.up()
    images = {}
    for version in VERSIONS:
        pause = pause_image.image(node.home)
        layers = [*pause.layers, Layer.of({"version": version.encode()})]
        image = replace(pause, name=f"docker.io/library/plain:{version}", layers=layers)
        node.load(image)
        images[version] = image.by_digest
    return PlainService(node.home.program("kubectl"), node.kubeconfig, images, folder)

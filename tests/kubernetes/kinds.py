"""The demo's service as other kinds of workload than a Deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.command_line import Cli

from backout.platforms.kubernetes import KubernetesPlatform
from backout.platforms.kubernetes.template import VERSION_LABEL

from .service import KubeService
from .work import deployment

_PROBE = "/spec/template/spec/containers/0/readinessProbe/httpGet"


class QuickService(KubeService):
    """As ever, with pods that end at once: for tests that count no failed requests."""

    def shape(self, workload: dict[str, Any]) -> None:
        _ends_at_once(workload)


class StatefulService(KubeService):
    """As a StatefulSet, whose pods start one after the other."""

    name = "statefulset/collector"

    def shape(self, workload: dict[str, Any]) -> None:
        workload["kind"] = "StatefulSet"
        del workload["spec"]["strategy"]
        workload["spec"]["serviceName"] = "collector"
        _ends_at_once(workload)

    def set_probe_path(self, path: str) -> None:
        """Let the pods of a new template be asked there whether they are ready."""
        probe = [{"op": "replace", "path": f"{_PROBE}/path", "value": path}]
        self.kubectl("patch", self.name, "--type=json", "-p", json.dumps(probe))


class DaemonService(KubeService):
    """As a DaemonSet that replaces no pod by itself."""

    name = "daemonset/collector"

    def shape(self, workload: dict[str, Any]) -> None:
        workload["kind"] = "DaemonSet"
        del workload["spec"]["strategy"], workload["spec"]["replicas"]
        _ends_at_once(workload)


def _ends_at_once(workload: dict[str, Any]) -> None:
    """Pods that are replaced one after the other make a test as long as their ends are."""
    spec = workload["spec"]["template"]["spec"]
    spec["terminationGracePeriodSeconds"] = 1
    del spec["containers"][0]["lifecycle"]


class PairService(QuickService):
    """Two Deployments: what answers requests, and a worker whose releases are called otherwise."""

    workloads = ("deployment/collector", "deployment/worker")

    def manifest(self, version: str) -> tuple[dict[str, Any], ...]:
        worker = deployment("worker", "import time; time.sleep(3600)")
        worker["spec"]["template"]["metadata"]["labels"] |= {VERSION_LABEL: version}
        return (*super().manifest(version), worker)

    def platform(self, service: str | None = None, **options: Any) -> KubernetesPlatform:
        return super().platform(service, **({"workloads": self.workloads} | options))

    def configure(self, *, folder: Path | None = None, text: str = "", **platform: Any) -> Cli:
        return super().configure(folder=folder, text=text, **({"workloads": self.workloads} | platform))

    def set_version(self, version: str) -> None:
        self.set_versions(version, version)

    def set_versions(self, version: str, worker: str) -> None:
        super().set_version(version)
        template = {"metadata": {"labels": {VERSION_LABEL: worker}}}
        self.kubectl("patch", "deployment/worker", "-p", json.dumps({"spec": {"template": template}}))

    def rolled_out(self) -> None:
        super().rolled_out()
        self.kubectl("rollout", "status", "deployment/worker", "--timeout=110s")

    def versions(self) -> tuple[str, ...]:
        """Return what each workload is told to run."""
        found = [self.get(name)["spec"]["template"]["metadata"]["labels"] for name in self.workloads]
        return tuple(labels[VERSION_LABEL] for labels in found)

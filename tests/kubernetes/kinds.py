"""The demo's service as other kinds of workload than a Deployment."""

from __future__ import annotations

import json
from typing import Any

from .service import KubeService

_PROBE = "/spec/template/spec/containers/0/readinessProbe/httpGet"


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

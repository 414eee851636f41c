"""Ports of a Service that its pods know by name. Pure."""

from __future__ import annotations

from backout.routers.kubernetes_service.look import Group, Object


def missing_port(service: Object, side: Group) -> str | None:
    """Return the name of a port that no pod of a side has, and that the Service sends to: connections would be refused.

    Asked of the pods that are ready, else of those that are to be made. Source: k8s.io/kubernetes v1.35,
    pkg/api/v1/pod/util.go, FindPort: by name and protocol, in containers and sidecars.
    """
    pods = [pod for pod in side.pods if pod["metadata"]["name"] in side.ready]
    has = [_named(pod.get("spec") or {}) for pod in pods]
    has = has or [_named(side.object["spec"]["template"].get("spec") or {})]
    for port in service["spec"].get("ports") or ():
        name = port.get("targetPort")
        if isinstance(name, str) and not any((name, port.get("protocol", "TCP")) in one for one in has):
            return name
    return None


def _named(spec: Object) -> set[tuple[str, str]]:
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    return {
        (str(port["name"]), str(port.get("protocol", "TCP")))
        for container in (*(spec.get("containers") or ()), *sidecars)
        for port in container.get("ports") or ()
        if port.get("name")
    }

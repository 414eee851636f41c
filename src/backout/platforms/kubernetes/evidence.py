"""What a post-mortem asks for and a roll-out deletes: logs, also of the container before, events, what was told to run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, TimeoutError, as_completed
from typing import Any

from backout.errors import BackoutError
from backout.kubernetes.api import Api
from backout.kubernetes.pods import is_ready
from backout.platforms.kubernetes.history import read
from backout.platforms.kubernetes.options import WorkloadName

Object = dict[str, Any]

_LINES = 500
_PODS = 6
"""Pods whose logs are kept, those that are not ready first."""
_TOGETHER = 8
_NOT_KEPT = "(not kept)"


def evidence(api: Api, workloads: tuple[WorkloadName, ...], deadline_s: float) -> Iterator[tuple[str, str]]:
    """Yield name and text of each thing as it comes; what cannot be had is left out."""
    pool = ThreadPoolExecutor(_TOGETHER, thread_name_prefix="evidence")
    try:
        asked = [pool.submit(_events, api)]
        for workload in workloads:
            seen = read(api, workload, deadline_s / 2)
            yield f"{workload.name} spec", _json(without_values(seen.object))
            for pod in sorted(seen.pods, key=is_ready)[:_PODS]:
                yield f"{pod['metadata']['name']} status", _json(pod.get("status") or {})
                names = [str(c["name"]) for c in pod["spec"]["containers"]]
                asked += [
                    pool.submit(_log, api, pod, name, before) for name in names for before in (True, False)
                ]
        for answer in as_completed(asked, timeout=deadline_s):
            found = answer.result()
            if found is not None:
                yield found
    except TimeoutError:
        return
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def by_hand(api: Api, workloads: tuple[WorkloadName, ...]) -> tuple[str, ...]:
    """Return what a person would type."""
    first = workloads[0].text
    return (
        api.kubectl("get", "events", "--sort-by=.lastTimestamp"),
        api.kubectl("logs", first, "--all-pods", "--all-containers", "--tail=500"),
        api.kubectl("logs", first, "--all-pods", "--all-containers", "--previous", "--tail=500"),
        api.kubectl("get", first, "-o", "yaml"),
    )


def without_values(obj: Object) -> Object:
    """Return a workload without the values of its environment, which may be secrets. Pure."""
    found: Object = json.loads(json.dumps(obj))
    found["metadata"].pop("managedFields", None)
    (found["metadata"].get("annotations") or {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
    spec = found["spec"]["template"]["spec"]
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for variable in container.get("env") or ():
            if "value" in variable:
                variable["value"] = _NOT_KEPT
    return found


def _events(api: Api) -> tuple[str, str] | None:
    try:
        events = api.list("Event", patience_s=3.0)
    except BackoutError:
        return None
    lines = sorted(
        f"{e.get('lastTimestamp') or e.get('eventTime') or ''} {e.get('type')} {e.get('reason')}"
        f" {e['involvedObject'].get('kind')}/{e['involvedObject'].get('name')}: {e.get('message')}"
        for e in events
    )
    return "events", "\n".join(lines)


def _log(api: Api, pod: Object, container: str, previous: bool) -> tuple[str, str] | None:
    name = str(pod["metadata"]["name"])
    try:
        text = api.log(name, container, lines=_LINES, previous=previous)
    except BackoutError:
        return None
    return (f"{name} {container}{' before' if previous else ''} log", text) if text.strip() else None


def _json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True)

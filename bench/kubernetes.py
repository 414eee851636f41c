"""The code scenario on a real Kubernetes node against `kubectl rollout undo` with `rollout status`, in pairs, one run.

Two clocks: until the old version serves everywhere (every ready endpoint of the Service is a pod of it, as many as are
wanted: goal at most 1.2 times kubectl's), and until backout has proven it, which kubectl does not do.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAIRS = 5
REPLICAS = 3
GOALS = {"served_everywhere_ratio": 1.2, "code_seconds": 180}
_POLL_S = 0.02


def measure() -> dict[str, Any]:
    """Return both clocks of each pair; the load is whatever the machine has."""
    sys.path.insert(0, str(ROOT))

    from tests.kubernetes.stage import service_on_the_node

    with tempfile.TemporaryDirectory(prefix="backout-bench-") as folder:
        Path(folder).chmod(0o755)
        with service_on_the_node(Path(folder), replicas=REPLICAS) as service:
            cli = service.configure()
            service.recorded(cli)
            return _pairs(service, cli)


def _pairs(service: Any, cli: Any) -> dict[str, Any]:
    ours, theirs = [], []
    for number in range(PAIRS):
        for first in (True, False) if number % 2 else (False, True):
            service.set_version("2.0.0")
            service.rolled_out()
            cli("record", "--no-checks", "--accept", "quarantined").ended(0)
            if first:
                ours.append(_timed(service, lambda: cli("run", "--to", "1.0.0", "--yes").ended(0)))
            else:
                theirs.append(_timed(service, lambda: _kubectl(service)))
    served = [(mine[0], other[0]) for mine, other in zip(ours, theirs, strict=True)]
    return {
        "pairs": PAIRS,
        "replicas": REPLICAS,
        "served_everywhere_s": {"backout": [a for a, _ in served], "kubectl": [b for _, b in served]},
        "ended_s": {
            "backout, proven": [m[1] for m in ours],
            "kubectl rollout status": [t[1] for t in theirs],
        },
        "served_everywhere_ratio": round(statistics.median(a / b for a, b in served), 2),
        "code_seconds": statistics.median(m[1] for m in ours),
        "goals": GOALS,
    }


def _kubectl(service: Any) -> None:
    service.kubectl("rollout", "undo", "deployment/collector")
    service.kubectl("rollout", "status", "deployment/collector", "--timeout=120s")


def _timed(service: Any, act: Callable[[], object]) -> tuple[float, float]:
    """Return seconds until every ready endpoint is a pod of 1.0.0, and until the command ended."""
    addresses = _watch(service)
    began_s = time.monotonic()
    worker = threading.Thread(target=act)
    worker.start()
    served_s = None
    while served_s is None:
        found = addresses()
        if found and len(found) == REPLICAS and set(found.values()) == {"1.0.0"}:
            served_s = time.monotonic() - began_s
        time.sleep(_POLL_S)
    worker.join()
    return round(served_s, 2), round(time.monotonic() - began_s, 2)


def _watch(service: Any) -> Callable[[], dict[str, str]]:
    """Return what tells the version behind each ready endpoint, from the API server's own objects."""
    import ssl
    import urllib.request

    node = service.node
    context = ssl.create_default_context(cafile=node.home.run / "apiserver" / "apiserver.crt")
    base = f"{node.url}/{{group}}/namespaces/{service.namespace}"

    def get(path: str) -> Any:
        asked = urllib.request.Request(path, headers={"Authorization": f"Bearer {node.token}"})
        with urllib.request.urlopen(asked, context=context, timeout=5) as answer:
            return json.load(answer)

    slices = base.format(group="apis/discovery.k8s.io/v1") + "/endpointslices"
    pods = base.format(group="api/v1") + "/pods?labelSelector=app%3Dcollector"

    def found() -> dict[str, str]:
        versions = {
            p["status"].get("podIP"): p["metadata"]["labels"]["app.kubernetes.io/version"]
            for p in get(pods)["items"]
        }
        ready = [
            e["addresses"][0]
            for s in get(slices)["items"]
            for e in s.get("endpoints") or ()
            if e["conditions"].get("ready")
        ]
        return {address: versions.get(address, "?") for address in ready}

    return found


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))

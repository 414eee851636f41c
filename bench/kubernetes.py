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

import yaml

ROOT = Path(__file__).parents[1]
PAIRS = 5
REPLICAS = 3
PASS_MARKS = {"code_seconds": 180, "data_seconds": 600, "full_seconds": 900, "emergency_seconds": 120}
"""What people promise today: `make bench` fails where one is exceeded."""
GOALS = {"served_everywhere_ratio": 1.2, "emergency_first_change_seconds": 3}
_POLL_S = 0.02


def measure() -> dict[str, Any]:
    """Return both clocks of each pair; the load is whatever the machine has."""
    sys.path.insert(0, str(ROOT))

    from tests.kubernetes.stage import service_on_the_node

    with tempfile.TemporaryDirectory(prefix="backout-bench-") as folder:
        Path(folder).chmod(0o755)
        with service_on_the_node(Path(folder), replicas=REPLICAS) as service:
            (Path(folder) / "backups").mkdir()
            sections = {
                "backups": {"kind": "directory", "path": "backups"},
                "restore": {"free_space_path": str(service.database.home), "min_free_bytes": 1},
            }
            cli = service.configure(text=yaml.safe_dump(sections))
            service.recorded(cli)
            found = _pairs(service, cli) | _emergency(service, cli)
            found["data_seconds"] = _restored(cli, "data")
            _deploy_bad(service, cli)
            cli = service.configure(text=yaml.safe_dump(sections), hold={"serving": "scale"})
            found["full_seconds"] = _restored(cli, "full", "--to", "1.0.0")
            return found | {"pass_marks": PASS_MARKS, "goals": GOALS}


def _pairs(service: Any, cli: Any) -> dict[str, Any]:
    ours, theirs = [], []
    for number in range(PAIRS):
        for first in (True, False) if number % 2 else (False, True):
            _deploy_bad(service, cli)
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
    }


def _emergency(service: Any, cli: Any) -> dict[str, Any]:
    """Return seconds until the first change and until the end, with neither store nor database."""
    _deploy_bad(service, cli)
    state = cli.directory / ".backout"
    state.rename(state.with_name("away"))
    state.write_text("no folder can be made here")
    words = ("run", "--emergency", "--scenario", "code", "--to", "1.0.0", "--reason", "bench", "--yes")
    before, began_s = _generation(service), time.monotonic()
    running = cli.start(*words, env={"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"})
    while _generation(service) == before:
        time.sleep(_POLL_S)
    first_s = time.monotonic() - began_s
    done = cli.finish(running)
    assert done.code in (0, 9), done.everything
    ended_s = time.monotonic() - began_s
    state.unlink()
    state.with_name("away").rename(state)
    return {"emergency_first_change_seconds": round(first_s, 2), "emergency_seconds": round(ended_s, 2)}


def _restored(cli: Any, scenario: str, *words: str) -> float:
    """Return the seconds of a scenario that restores, from a backup of what the demo's service wrote."""
    cli("backup", "create").ended(0)
    (name,) = [b["backup"]["name"] for b in cli("backup", "list", "--json").ended(0).json["backups"]][:1]
    accepted = ("--backup", name, "--accept", "schema-unknown", "--max-loss", "1000000", "--yes")
    began_s = time.monotonic()
    cli("run", "--scenario", scenario, *words, *accepted).ended(0)
    return round(time.monotonic() - began_s, 2)


def _deploy_bad(service: Any, cli: Any) -> None:
    service.set_version("2.0.0")
    service.rolled_out()
    cli("record", "--no-checks", "--accept", "quarantined").ended(0)


def _generation(service: Any) -> int:
    return int(service.get("deployment", "collector")["metadata"]["generation"])


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

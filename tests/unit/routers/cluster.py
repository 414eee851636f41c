"""A small API server that answers as Kubernetes 1.35 does for what the router asks, with controllers that never take time.

What real ones do is tried in tests/kubernetes; here are the days on which something is refused, lost or changed by others.
"""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]
BEGIN = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
KINDS = {
    "services": "Service",
    "deployments": "Deployment",
    "pods": "Pod",
    "endpointslices": "EndpointSlice",
    "horizontalpodautoscalers": "HorizontalPodAutoscaler",
}


class Hand:
    """A clock that stands, and goes on when somebody waits."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.at_s)

    def monotonic_s(self) -> float:
        return self.at_s

    def wait(self, seconds: float) -> None:
        self.at_s += seconds


@dataclass
class Fault:
    """What happens to the next request that fits.

    Attributes:
        status: Answered instead; 0: the connection is closed without an answer.
        done: Whether it was carried out all the same.
        before: Done before it, by somebody else.
    """

    method: str
    path: str
    status: int | None = None
    done: bool = False
    before: Callable[[], None] | None = None
    times: int = 1


class Cluster:
    """One namespace.

    Attributes:
        starts: Whether pods of a Deployment get ready.
        refused: Verb and resource that SelfSubjectAccessReview denies.
    """

    def __init__(self) -> None:
        self.clock, self._version, self._pods = Hand(), 0, 0
        self.objects: dict[str, dict[str, Object]] = {kind: {} for kind in KINDS.values()}
        self.starts: dict[str, bool] = {}
        self.faults: list[Fault] = []
        self.refused: set[tuple[str, str]] = set()
        self.written: list[tuple[str, str, Object]] = []
        """Name, manager and body of each patch that was carried out."""

    # --- as somebody with kubectl -------------------------------------------------------------------

    def service(self, selector: dict[str, str], **metadata: Any) -> None:
        self._put(
            "Service", {"metadata": {"name": "shop", **metadata}, "spec": {"selector": selector}}, "kubectl"
        )

    def deployment(self, name: str, labels: dict[str, str], replicas: int = 1, **metadata: Any) -> None:
        template = {"metadata": {"labels": labels}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        self._put("Deployment", {"metadata": {"name": name, **metadata}, "spec": spec}, "kubectl")

    def pod(self, name: str, labels: dict[str, str], owner: str | None = None, *, ready: bool = True) -> None:
        meta: Object = {
            "name": name,
            "uid": f"uid-{name}",
            "labels": labels,
            "creationTimestamp": self.clock.now().isoformat(),
        }
        if owner:
            meta["labels"] = labels | {"pod-template-hash": "abc"}
            meta["ownerReferences"] = [{"kind": "ReplicaSet", "name": f"{owner}-abc"}]
        state: Object = {"running": {"startedAt": meta["creationTimestamp"]}}
        if not ready:
            state = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"name": "shop", "ready": ready, "state": state}],
        }
        self.objects["Pod"][name] = {"metadata": meta, "spec": {}, "status": status}

    def autoscaler(self, name: str, deployment: str) -> None:
        target = {"kind": "Deployment", "name": deployment}
        self.objects["HorizontalPodAutoscaler"][name] = {
            "metadata": {"name": name},
            "spec": {"scaleTargetRef": target},
        }

    def select(self, selector: dict[str, str]) -> None:
        """As `kubectl patch` does."""
        self.change("Service", "shop", {"spec": {"selector": selector}}, "kubectl-patch", whole=True)

    def scale(self, name: str, replicas: int) -> None:
        self.change("Deployment", name, {"spec": {"replicas": replicas}}, "kubectl")

    @property
    def selector(self) -> dict[str, str]:
        return dict(self.objects["Service"]["shop"]["spec"]["selector"])

    @property
    def replicas(self) -> dict[str, int]:
        return {name: int(one["spec"]["replicas"]) for name, one in self.objects["Deployment"].items()}

    # --- as the API server --------------------------------------------------------------------------

    def _put(self, kind: str, obj: Object, manager: str) -> None:
        obj = copy.deepcopy(obj)
        obj["metadata"]["uid"] = f"uid-{obj['metadata']['name']}"
        self.objects[kind][obj["metadata"]["name"]] = obj
        self._stamp(kind, obj, manager)
        self.controllers()

    def change(self, kind: str, name: str, body: Object, manager: str, *, whole: bool = False) -> Object:
        """Merge, and note who did when."""
        obj = self.objects[kind][name]
        before = copy.deepcopy(obj["spec"])
        if whole:
            obj["spec"] |= copy.deepcopy(body["spec"])
        else:
            _merge(obj, {key: value for key, value in body.items() if key != "kind"})
        if kind != "Service" or obj["spec"] != before:
            self._stamp(kind, obj, manager)
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        self.controllers()
        return obj

    def _stamp(self, kind: str, obj: Object, manager: str) -> None:
        fields = {"f:spec": {"f:selector" if kind == "Service" else "f:replicas": {}}}
        entry = {"manager": manager, "time": self.clock.now().isoformat(), "fieldsV1": fields}
        obj["metadata"]["managedFields"] = [entry]
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)

    def controllers(self) -> None:
        """Make and end pods as Deployments want, and write where the Service sends connections."""
        for name, one in self.objects["Deployment"].items():
            labels = one["spec"]["selector"]["matchLabels"]
            own = [n for n, pod in self.objects["Pod"].items() if _owned(pod, name)]
            for extra in own[one["spec"]["replicas"] :]:
                del self.objects["Pod"][extra]
            for _ in range(one["spec"]["replicas"] - len(own)):
                self._pods += 1
                self.pod(f"{name}-{self._pods}", labels, name, ready=self.starts.get(name, True))
        if "shop" not in self.objects["Service"]:
            return
        selector = self.objects["Service"]["shop"]["spec"]["selector"]
        endpoints = [
            {
                "targetRef": {"name": name},
                "addresses": [name],
                "conditions": {"ready": pod["status"]["conditions"][0]["status"] == "True"},
            }
            for name, pod in self.objects["Pod"].items()
            if _has(pod, selector)
        ]
        self.objects["EndpointSlice"]["shop-1"] = {"metadata": {"name": "shop-1"}, "endpoints": endpoints}

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Object) -> tuple[int, Object]:
        if path == "/readyz":
            return 200, {}
        if path.endswith("selfsubjectaccessreviews"):
            about = body["spec"]["resourceAttributes"]
            return 201, {"status": {"allowed": (about["verb"], about["resource"]) not in self.refused}}
        *_, resource = re.split(r"/namespaces/shop/", path)
        plural, _, name = resource.partition("/")
        kind = KINDS[plural]
        if not name:
            labels = dict(one.split("=") for one in (query.get("labelSelector") or [""])[0].split(",") if one)
            slices = kind == "EndpointSlice"
            return 200, {"items": [o for o in self.objects[kind].values() if slices or _has(o, labels)]}
        obj = self.objects[kind].get(name)
        if obj is None:
            return 404, {"message": f"{plural} {name} not found"}
        if method == "PATCH":
            wanted = body["metadata"].pop("resourceVersion")
            if wanted != obj["metadata"]["resourceVersion"]:
                return 409, {"message": "the object has been modified"}
            manager = query["fieldManager"][0]
            self.written.append((name, manager, copy.deepcopy(body)))
            return 200, self.change(kind, name, body, manager)
        if method == "DELETE":
            if body["preconditions"]["uid"] != obj["metadata"]["uid"]:
                return 409, {"message": "another uid"}
            del self.objects[kind][name]
            self.controllers()
            return 200, {}
        return 200, obj


def _owned(pod: Object, deployment: str) -> bool:
    return any(one["name"] == f"{deployment}-abc" for one in pod["metadata"].get("ownerReferences") or ())


def _has(obj: Object, labels: dict[str, str]) -> bool:
    own = obj["metadata"].get("labels") or {}
    return all(own.get(key) == value for key, value in labels.items())


def _merge(into: Object, patch: Object) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


class _Handler(BaseHTTPRequestHandler):
    cluster: Cluster
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # an answer in one piece

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        parts = urlsplit(self.path)
        cluster = self.cluster
        fault = next(
            (f for f in cluster.faults if f.method == self.command and re.search(f.path, parts.path)), None
        )
        if fault is not None:
            fault.times -= 1
            if not fault.times:
                cluster.faults.remove(fault)
            if fault.before is not None:
                fault.before()
        status, told = 0, Object()
        if fault is None or fault.status is None or fault.done:
            status, told = cluster.answer(self.command, parts.path, parse_qs(parts.query), body)
        if fault is not None and fault.status is not None:
            status, told = fault.status, {"message": "refused by a test"}
        if not status:
            self.close_connection = True
            return
        text = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


_VERBS = {f"do_{verb}": _Handler.answer for verb in ("GET", "POST", "PATCH", "DELETE")}


@contextmanager
def serving(cluster: Cluster, folder: Path) -> Iterator[Path]:
    """Let a cluster answer, and give the kubeconfig for it."""
    handler = type("Handler", (_Handler,), {"cluster": cluster} | _VERBS)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    file = folder / "kubeconfig"
    config = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "current-context": "x",
    }
    file.write_text(json.dumps(config))
    try:
        yield file
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A service with two sides behind one Service, and a page that answers maintenance; backout acts with the documented Role."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from backout.clock import SystemClock
from backout.platforms.base import Site
from backout.redact import Redactor
from backout.routers.kubernetes_service import KubernetesServiceOptions, KubernetesServiceRouter
from testbed.node import Node
from testbed.python_layer import interpreter

from .service import IMAGES, ROOT

PERMISSIONS = ROOT / "deploy" / "permissions-router.yaml"
SIDES = {"blue": "deployment/shop-blue", "green": "deployment/shop-green"}
PAGE = "deployment/maintenance"

# Told to end, it goes on for as long as it lingers, tells by its answers that the connection is over, and closes those that ask
# nothing: as every server should.
PROGRAM = """
import http.server, json, os, signal, threading, time
side, version, page = os.environ["SIDE"], os.environ["VERSION"], bool(os.environ.get("PAGE"))
ending, lock, inside = threading.Event(), threading.Lock(), [0]
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        with lock: inside[0] += 1
        try: self.answer()
        finally:
            with lock: inside[0] -= 1
    def answer(self):
        if self.path == "/tunnel":
            self.wfile.write(b"HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
                             b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\\r\\n\\r\\n")
            with lock: inside[0] -= 1
            while self.rfile.read(1): self.wfile.write(side.encode())
            with lock: inside[0] += 1
            self.close_connection = True
            return
        if self.path == "/slow": time.sleep(0.5)
        ready = self.path == "/ready"
        told = {"/version": version, "/health": json.dumps({"version": version})}
        body = told.get(self.path, side).encode()
        self.send_response(503 if page and not ready else 200)
        if page: self.send_header("Retry-After", "5")
        self.send_header("Content-Type", "application/json" if self.path == "/health" else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        if page or ending.is_set():
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128
    def handle_error(self, *_): pass
signal.signal(signal.SIGTERM, lambda *_: ending.set())
server = Server(("0.0.0.0", 8080), Answer)
threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
ending.wait()
time.sleep(float(os.environ["LINGERS_S"]))
server.shutdown()
server.server_close()
until = time.monotonic() + 5
while inside[0] and time.monotonic() < until: time.sleep(0.02)
os._exit(0)
"""


class BlueGreen:
    """v1 on blue, v2 on green, and a page; the Service selects blue.

    Args:
        replicas: Of each side.
        lingers_s: For so long a pod that is told to end takes connections; while it takes requests that has to be 2 s and more.
    """

    def __init__(self, node: Node, folder: Path, *, replicas: int = 1, lingers_s: float = 0.2) -> None:
        self.node, self.folder = node, folder
        self.namespace = f"sides-{uuid4().hex[:8]}"
        node.kubectl("create", "namespace", self.namespace)
        self.kubectl("apply", "-f", str(PERMISSIONS))
        selector = {"app": "shop", "side": "blue"}
        lingers = str(lingers_s)
        self.apply(
            _service("shop", selector),
            *(_service(f"shop-{side}", selector | {"side": side}) for side in SIDES),
            *(_deployment(f"shop-{side}", selector | {"side": side}, replicas, SIDE=side, VERSION=version, LINGERS_S=lingers)
              for side, version in (("blue", "v1"), ("green", "v2"))),
            _deployment("maintenance", {"app": "maintenance"}, 1, SIDE="page", VERSION="none", PAGE="1", LINGERS_S="0.2"),
        )  # fmt: skip
        for deployment in (*SIDES.values(), PAGE):
            self.kubectl("rollout", "status", deployment, "--timeout=60s")
        self.kubeconfig = node.kubeconfig_of("backout", folder / "kubeconfig", namespace=self.namespace)

    def close(self) -> None:
        self.node.kubectl("delete", "namespace", self.namespace, "--wait=false")

    def kubectl(self, *words: str, **more: Any) -> str:
        return str(self.node.kubectl("-n", self.namespace, *words, **more).stdout)

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def address(self, service: str = "shop") -> str:
        return str(self.get("service", service)["spec"]["clusterIP"])

    def selected(self, side: str) -> None:
        """As somebody with kubectl: all to one side."""
        patch = {"spec": {"selector": {"app": "shop", "side": side}}}
        self.kubectl("patch", "service/shop", "-p", json.dumps(patch))

    def router(self, kubeconfig: Path | None = None, **options: Any) -> KubernetesServiceRouter:
        told = {"service": "shop", "sides": SIDES, "maintenance": PAGE, "rollout_timeout_s": 30}
        told |= {"kubeconfig": str(kubeconfig or self.kubeconfig), "namespace": self.namespace} | options
        site = Site("shop", "production", self.folder, os.environ, SystemClock(), Redactor())
        return KubernetesServiceRouter.create(KubernetesServiceOptions.model_validate(told), site)


def _service(name: str, selector: dict[str, str]) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector, "ports": ports},
    }


def _deployment(name: str, labels: dict[str, str], replicas: int, **env: str) -> dict[str, Any]:
    container = {
        "name": "shop",
        "image": IMAGES["1.0.0"],
        "command": [interpreter(), "-c", PROGRAM],
        "env": [{"name": k, "value": v} for k, v in env.items()],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}},
    }
    spec = {
        "terminationGracePeriodSeconds": 10,
        "dnsPolicy": "Default",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [container],
    }
    template = {"metadata": {"labels": labels}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }

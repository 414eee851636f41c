"""What acts beside the service in its namespace: a worker, a CronJob with a run under way, a maintenance page."""

from __future__ import annotations

from typing import Any

from tests.waiting import until

from testbed.python_layer import interpreter

from .service import IMAGES, KubeService


def pod_template(app: str, program: str, **container: Any) -> dict[str, Any]:
    """Return a pod that runs a Python program with the database's address at hand."""
    url = {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "collector", "key": "url"}}}
    whole = {
        "name": app,
        "image": IMAGES["1.0.0"],
        "command": [interpreter(), "-c", program],
        "env": [url],
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}},
    }
    spec = {"terminationGracePeriodSeconds": 1, "dnsPolicy": "Default", "containers": [whole | container]}
    return {"metadata": {"labels": {"app": app}}, "spec": spec}


WRITES = """
import os, psycopg, time
while True:
    try:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS worked (at timestamptz)")
            while True:
                connection.execute("INSERT INTO worked VALUES (now())")
                time.sleep(0.1)
    except psycopg.Error:
        time.sleep(0.2)
"""
WORK = "app in (worker, nightly, import)"
"""What writes beside the service."""
ANSWERS_503 = """
import http.server
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503); self.send_header("Content-Length", "0"); self.end_headers()
    do_POST = do_GET
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Page).serve_forever()
"""


def deployment(app: str, program: str, replicas: int = 1, **container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": app},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": app}},
            "template": pod_template(app, program, **container),
        },
    }


def maintenance() -> dict[str, Any]:
    probe = {"tcpSocket": {"port": "http"}, "periodSeconds": 1}
    ports = [{"name": "http", "containerPort": 8080}]
    return deployment("maintenance", ANSWERS_503, ports=ports, readinessProbe=probe)


def cron_job() -> dict[str, Any]:
    """Return one that never starts a run by itself in a test's time."""
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": _once("nightly")}}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": spec}


def job() -> dict[str, Any]:
    """Return one of no CronJob that does not end by itself."""
    spec = {"template": _once("import")}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "import"}, "spec": spec}


def _once(app: str) -> dict[str, Any]:
    """Return the template of pods that are not started again when they end."""
    template = pod_template(app, WRITES)
    template["spec"]["restartPolicy"] = "Never"
    return template


def start_work(service: KubeService) -> None:
    """Let a worker, a Job and a run of the CronJob write rows."""
    service.apply(deployment("worker", WRITES, replicas=2), cron_job(), job())
    service.kubectl("create", "job", "nightly-1", "--from=cronjob/nightly")
    until(lambda: len(running(service, WORK)) == 4)


def running(service: KubeService, labels: str) -> list[str]:
    pods = service.get("pods", "-l", labels)["items"]
    return [p["metadata"]["name"] for p in pods if p["status"]["phase"] == "Running"]

"""backout as a Job in the cluster: its own image, the service account, nothing but what deploy/ says."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
import yaml

from testbed import backout_image
from testbed.node import Node

from .service import ROOT, KubeService, until

pytestmark = pytest.mark.slow

DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def image(node: Node) -> str:
    made = backout_image.image(node.home, tag=f"test-{uuid4().hex[:8]}")
    node.load(made)
    return made.by_digest


class Jobs:
    """Creates the Job of deploy/ with other arguments, and waits for its end."""

    def __init__(self, service: KubeService, image: str) -> None:
        self.service, self.image = service, image
        config = yaml.safe_load((DEPLOY / "config.yaml").read_text())
        # The node has no DNS: the Service's address stands for its name.
        told = config["data"]["backout.yaml"].replace("http://collector/", f"{service.url}/")
        # This machine may be busy with other things.
        config["data"]["backout.yaml"] = told.replace("max_p95_ms: 500", "max_p95_ms: 20000")
        url = f"--from-literal=database-url={service.database.inside_url}"
        service.apply(config)
        service.kubectl("create", "secret", "generic", "backout", url)

    def __call__(self, *words: str, env: dict[str, str] | None = None) -> tuple[int, str]:
        """Return the exit code and what it wrote."""
        job = yaml.safe_load((DEPLOY / "job.yaml").read_text())
        # In a pod that shares its processes backout is not the first one, which could not end itself.
        job["spec"]["template"]["spec"]["shareProcessNamespace"] = True
        (container,) = job["spec"]["template"]["spec"]["containers"]
        container |= {"image": self.image, "args": list(words)}
        container["env"] += [{"name": name, "value": value} for name, value in (env or {}).items()]
        name = self.service.kubectl("create", "-o", "name", "-f", "-", stdin=json.dumps(job)).strip()
        pods: list[dict[str, Any]] = []

        def ended() -> bool:
            pods[:] = self.service.get("pods", "-l", f"job-name={name.partition('/')[2]}")["items"]
            return bool(pods) and pods[0]["status"]["phase"] in ("Succeeded", "Failed")

        until(ended)
        state = pods[0]["status"]["containerStatuses"][0]["state"]
        return state["terminated"]["exitCode"], self.service.kubectl("logs", pods[0]["metadata"]["name"])


@pytest.fixture
def jobs(fresh: KubeService, image: str) -> Jobs:
    return Jobs(fresh, image)


def test_a_job_takes_back_what_another_job_began(fresh: KubeService, jobs: Jobs) -> None:
    def ended(code: int, *words: str, **more: Any) -> str:
        got, out = jobs(*words, **more)
        assert got == code, out
        return out

    fresh.recorded(fresh.configure())
    assert "2.0.0" in ended(0, "--json")
    # The node ends the pod as hard as it gets, in the middle of the step.
    ended(137, "run", "--yes", "--reason", "orders fail", env={"BACKOUT_FAULT": "kubernetes.template.after"})
    out = ended(0, "resume", "--take-over", "--reason", "the pod was evicted")
    assert "Done and proven" in out
    assert fresh.served() == ["1.0.0"]
    report = ended(0, "report")
    assert "orders fail" in report and "the pod was evicted" in report

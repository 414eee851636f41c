"""backout as a Job in the cluster: its own image, the service account, nothing but what deploy/ says."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
import yaml
from tests.waiting import until

from testbed import backout_image
from testbed.node import Node

from .service import ROOT, KubeService

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
        job = self.create(*words, env=env)
        until(lambda: self._phase(job) in ("Succeeded", "Failed"))
        (pod,) = self.pods(job)
        state = pod["status"]["containerStatuses"][0]["state"]
        return state["terminated"]["exitCode"], self.service.kubectl("logs", pod["metadata"]["name"])

    def create(self, *words: str, env: dict[str, str] | None = None) -> str:
        """Create a Job, and return its name."""
        job = yaml.safe_load((DEPLOY / "job.yaml").read_text())
        # In a pod that shares its processes backout is not the first one, which could not end itself.
        job["spec"]["template"]["spec"]["shareProcessNamespace"] = bool(env)
        (container,) = job["spec"]["template"]["spec"]["containers"]
        container |= {"image": self.image, "args": list(words)}
        container["env"] += [{"name": name, "value": value} for name, value in (env or {}).items()]
        created = self.service.kubectl("create", "-o", "name", "-f", "-", stdin=json.dumps(job))
        return created.strip().partition("/")[2]

    def pods(self, job: str) -> list[Any]:
        """Return the pods of a Job."""
        return list(self.service.get("pods", "-l", f"job-name={job}")["items"])

    def _phase(self, job: str) -> str | None:
        return next((pod["status"]["phase"] for pod in self.pods(job)), None)


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


def test_a_pod_that_is_told_to_end_stops_at_a_safe_moment(fresh: KubeService, jobs: Jobs) -> None:
    fresh.recorded(fresh.configure())
    job = jobs.create("run", "--yes")
    until(lambda: fresh.get("configmaps", "-l", "backout/kind=run")["items"])
    (pod,) = jobs.pods(job)
    fresh.kubectl("delete", "pod", pod["metadata"]["name"])
    code, out = jobs("status")
    assert code == 130 and "backout resume" in out, out
    code, out = jobs("resume")
    assert code == 0 and fresh.served() == ["1.0.0"], out

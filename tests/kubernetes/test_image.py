"""An image is named that neither history nor a record has: as `kubectl set image`, with what can be known of it."""

from __future__ import annotations

import time

import pytest

from .service import IMAGES, NAME, KubeService

pytestmark = pytest.mark.slow

TAG = "docker.io/library/collector:3.0.0"


def test_by_tag_by_digest_and_one_that_is_nowhere(fresh: KubeService) -> None:
    cli = fresh.configure()
    told = ("run", "--to", "collector:3.0.0", "--accept", "schema-unknown", "--yes")
    cli(*told).refused(
        4, what=f"{TAG} is a tag", now="2.0.0 still runs", next=f"--to {TAG} .*--accept image-by-tag"
    )
    assert fresh.served() == ["2.0.0"]
    runbook = cli("plan", "--to", IMAGES["3.0.0"], "--format", "md").ended(4).out
    assert f"set image deployment/collector collector={IMAGES['3.0.0']}" in runbook
    assert "is a tag" not in runbook
    cli(*told, "--accept", "image-by-tag").ended(0)
    assert fresh.served() == ["3.0.0"]
    template = fresh.get(NAME)["spec"]["template"]
    assert template["spec"]["containers"][0]["image"] == TAG
    rows = cli("releases", "--json").ended(0).json["rows"]
    assert not any(r["quarantined"] for r in rows), "what is newer backs nothing out"
    assert template["metadata"]["labels"]["app.kubernetes.io/version"] == "3.0.0"

    # A digest that a release is known to have is that release, with its whole template.
    plan = cli("plan", "--to", IMAGES["1.0.0"], "--json").ended(4).json["plan"]
    assert plan["to_version"] == "1.0.0" and "image.new" not in str(plan)
    cli("plan", "--to", "collector:").refused(2, what="no release collector:", now="Nothing", next="backout")

    fresh.patch({"spec": {"progressDeadlineSeconds": 5}})
    accepted = ("--accept", "schema-unknown", "--accept", "image-by-tag", "--yes")
    begun_s = time.monotonic()
    stopped = cli("run", "--to", "collector:9.9.9", *accepted).ended(5)
    assert time.monotonic() - begun_s < 60, "the deadline of the Deployment is 5 s, the one of a roll-out 300"
    assert "ErrImagePull" in stopped.everything or "ImagePullBackOff" in stopped.everything
    assert fresh.served() == ["3.0.0"]
    cli("abort", "--yes").ended(0)
    assert fresh.served() == ["3.0.0"]
    assert fresh.get(NAME)["spec"]["template"] == template

"""ConfigMaps come back with the code, as copies: what others use too is left alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from testbed.python_layer import interpreter

from .service import KubeService

pytestmark = pytest.mark.slow

FORWARD = ("--accept", "quarantined", "--accept", "known-bad", "--accept", "schema-unknown")


def configured(service: KubeService, version: str, mode: str) -> list[dict[str, Any]]:
    """Return the manifest, as a user has it, with a setting in the ConfigMap."""
    objects = [copy.deepcopy(o) for o in service.manifest(version)]
    objects[0]["data"]["MODE"] = mode
    return objects


def another(service: KubeService) -> dict[str, Any]:
    """Return a Deployment of somebody else that uses the same ConfigMap."""
    made = copy.deepcopy(next(o for o in service.manifest("1.0.0") if o["kind"] == "Deployment"))
    made["metadata"] = {"name": "other"}
    made["spec"]["selector"]["matchLabels"] = made["spec"]["template"]["metadata"]["labels"] = {
        "app": "other"
    }
    return made


def mode_of(service: KubeService, app: str = "collector") -> str:
    """Return the setting as the program in the pod has it."""
    (pod,) = service.pods(f"app={app}")
    code = "import os; print(os.environ['MODE'])"
    return service.kubectl("exec", pod["metadata"]["name"], "--", interpreter(), "-c", code).strip()


def test_the_content_of_then_comes_back_and_others_keep_the_one_of_now(fresh: KubeService) -> None:
    cli = fresh.configure()
    fresh.apply(*configured(fresh, "1.0.0", "A"))
    fresh.rolled_out()
    cli("record", "--state", "good", "--no-checks").ended(0)
    fresh.apply(*configured(fresh, "2.0.0", "B"), another(fresh))
    for name in ("collector", "other"):
        fresh.kubectl("rollout", "status", f"deployment/{name}", "--timeout=110s")
    cli("record", "--no-checks").ended(0)
    others = fresh.get("deployment", "other")
    assert (mode_of(fresh), mode_of(fresh, "other")) == ("B", "B")

    planned = cli("plan").ended(0).everything
    assert "with collector as then" in planned
    cli("run", "--yes").ended(0)
    assert (fresh.served(), mode_of(fresh)) == (["1.0.0"], "A")
    assert fresh.get("configmap", "collector")["data"]["MODE"] == "B"
    now = fresh.get("deployment", "other")
    assert (
        now["metadata"]["generation"] == others["metadata"]["generation"] and mode_of(fresh, "other") == "B"
    )
    kept = [
        c for c in fresh.get("configmaps", "-l", "backout/kind=config")["items"] if c["data"]["MODE"] == "A"
    ]
    assert len(kept) == 1 and kept[0]["immutable"] is True

    # The user's own manifest again, with the setting of then: the same release, by the user's own ConfigMap.
    fresh.apply(*configured(fresh, "1.0.0", "A"))
    fresh.rolled_out()
    rows = cli("releases", "--json").ended(0).json["rows"]
    assert [(r["release"]["version"], r["current"]) for r in rows] == [("2.0.0", False), ("1.0.0", True)]
    container = fresh.get("deployment", "collector")["spec"]["template"]["spec"]["containers"][0]
    assert container["envFrom"] == [{"configMapRef": {"name": "collector"}}]
    assert mode_of(fresh) == "A"

    cli("run", "--to", "2.0.0", *FORWARD, "--yes").ended(0)
    assert (fresh.served(), mode_of(fresh)) == (["2.0.0"], "B")
    assert "(2 templates, 2 contents of ConfigMaps" in cli("doctor").everything

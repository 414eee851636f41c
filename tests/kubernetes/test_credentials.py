"""Who we are and what we may: several contexts, a plugin, a token that ends in the middle, a Role that lacks something."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import until

from .service import NAME, KubeService

pytestmark = pytest.mark.slow

KNOWN = ("--accept", "schema-unknown", "--yes")
PLUGIN = """
import json, pathlib, sys
token = pathlib.Path(sys.argv[1])
with token.with_name("asked").open("a") as asked:
    asked.write("once more\\n")
print(json.dumps({"kind": "ExecCredential", "status": {"token": token.read_text()}}))
"""


def token_of(kubeconfig: Path) -> str:
    return str(json.loads(kubeconfig.read_text())["users"][0]["user"]["token"])


def with_plugin(service: KubeService, folder: Path) -> Path:
    """Write a kubeconfig whose token a plugin gives, beside a current context of a cluster that is not there."""
    whole: dict[str, Any] = json.loads(service.kubeconfig.read_text())
    (folder / "plugin.py").write_text(PLUGIN)
    (folder / "token").write_text(token_of(service.kubeconfig))
    told = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(folder / "plugin.py"), str(folder / "token")],
    }
    whole["users"] = [{"name": whole["users"][0]["name"], "user": {"exec": told}}]
    whole["contexts"] = [{**whole["contexts"][0], "name": "shop-eu"}]
    whole["clusters"].append({"name": "gone", "cluster": {"server": "https://127.0.0.1:1"}})
    whole["contexts"].append(
        {"name": "shop-us", "context": {**whole["contexts"][0]["context"], "cluster": "gone"}}
    )
    whole["current-context"] = "shop-us"
    to = folder / "several"
    to.write_text(json.dumps(whole))
    return to


def other_account(service: KubeService, to: Path) -> Path:
    """Return a kubeconfig of another ServiceAccount that has the same Role."""
    service.kubectl("create", "serviceaccount", "other")
    account = f"--serviceaccount={service.namespace}:other"
    service.kubectl("create", "rolebinding", "other", "--role=backout", account)
    return service.node.kubeconfig_of("other", to, namespace=service.namespace)


def times_asked(folder: Path) -> int:
    return len((folder / "asked").read_text().splitlines())


def test_the_context_that_is_meant_is_told_first_and_a_plugin_is_asked_again_when_its_token_ends(
    fresh: KubeService, tmp_path: Path
) -> None:
    several = str(with_plugin(fresh, tmp_path))
    cli = fresh.configure(kubeconfig=several)
    cli("run", *KNOWN).refused(
        3, what="https://127.0.0.1:1 does not answer", now=".", next="--context shop-us"
    )

    cli = fresh.configure(kubeconfig=several, context="shop-eu", rollout_timeout_s=60)
    where = f"context shop-eu, namespace {fresh.namespace}"
    assert where in cli("plan", *KNOWN[:2]).ended(0).everything
    assert f"context shop-eu, server {fresh.node.url}" in cli("doctor").everything
    fresh.patch({"spec": {"minReadySeconds": 500}})  # the roll-out waits until the token has changed
    running = cli.start("run", *KNOWN)
    until(lambda: fresh.get(NAME)["metadata"]["annotations"].get("backout/step"))
    (tmp_path / "token").write_text(token_of(other_account(fresh, tmp_path / "other")))
    asked = times_asked(tmp_path)
    fresh.kubectl("delete", "serviceaccount", "backout")  # with it its tokens end
    until(lambda: times_asked(tmp_path) > asked)
    fresh.patch({"spec": {"minReadySeconds": 0}})
    done = cli.finish(running).ended(0)
    assert done.err.startswith(f"On {where}: "), "before anything is done"
    assert fresh.served() == ["1.0.0"]


def test_each_verb_that_is_missing_is_named(fresh: KubeService) -> None:
    role = fresh.get("role", "backout")
    left = [rule for rule in role["rules"] if not {"leases", "events"} & set(rule["resources"])]
    fresh.patch({"rules": left}, "role/backout")
    cli = fresh.configure()
    told = " ".join(cli("doctor").everything.split())
    for verb in ("get", "create", "update"):
        assert f"permission {verb} leases: not given: one run at a time will not work" in told, told
        assert f"auth can-i {verb} leases" in told, "what to type"
    assert "permission list events: not given: showing why a pod fails will not work" in told
    assert told.count("not given") == 4
    cli("run", *KNOWN).refused(3, what="refuses .*leases", now="Nothing was changed", next="auth can-i")
    assert fresh.served() == ["2.0.0"]
    account = f"--as=system:serviceaccount:{fresh.namespace}:backout"
    words = ("-n", fresh.namespace, "auth", "can-i", "get", "secrets", account)
    assert fresh.node.kubectl(*words, check=False).stdout.strip() == "no"

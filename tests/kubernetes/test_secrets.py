"""Secrets: what changed is told, what is listed comes back as a copy, and a rotated password goes on working."""

from __future__ import annotations

import base64
import copy
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import sql

from backout.embedded.server import EmbeddedPostgres
from testbed.python_layer import interpreter
from testbed.versions import GATEWAY

from .service import ROOT, KubeService

pytestmark = pytest.mark.slow

OPTIONAL = ROOT / "deploy" / "permissions-secrets.yaml"
NAMES = ("collector", "settings", "owned")
FIRST, SECOND = "first-4f1c9a", "second-b07e55"
OLD, NEW = "Old-password-8d3e", "New-password-61fa"
LISTED = {"watch": ["collector"], "keep": ["settings", "owned"]}


class Rotated:
    """A role of the database of the test's own, whose password is changed with the release."""

    def __init__(self, database: EmbeddedPostgres, service: KubeService) -> None:
        self._database, self._service = database, service
        self._role = service.namespace.replace("-", "_")
        self._execute("CREATE ROLE {role} LOGIN IN ROLE collector")

    def to(self, password: str) -> None:
        self._execute("ALTER ROLE {role} PASSWORD {password}", password=sql.Literal(password))
        url = f"postgresql://{self._role}:{password}@{GATEWAY}:{self._database.port}/collector"
        self._service.apply(secret("collector", url=url))

    def _execute(self, text: str, **more: sql.Composable) -> None:
        with psycopg.connect(self._database.superuser_url, autocommit=True) as connection:
            connection.execute(sql.SQL(text).format(role=sql.Identifier(self._role), **more))


def secret(name: str, meta: dict[str, Any] | None = None, **content: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, **(meta or {})},
        "stringData": content,
    }


def owned_by_a_controller(service: KubeService) -> dict[str, Any]:
    owner = service.get("configmap", "collector")["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "collector", "uid": owner["uid"]}
    return {"ownerReferences": [{**reference, "controller": True}]}


def optional_role() -> list[dict[str, Any]]:
    """Return the optional Role as it ships, with this service's names."""
    role, binding = yaml.safe_load_all(OPTIONAL.read_text())
    role["rules"][0]["resourceNames"] = ["backout-key", *NAMES]
    return [role, binding]


def with_secrets(service: KubeService, version: str) -> list[dict[str, Any]]:
    objects = [copy.deepcopy(o) for o in service.manifest(version)]
    container = next(o for o in objects if o["kind"] == "Deployment")["spec"]["template"]["spec"][
        "containers"
    ][0]
    for name in ("settings", "owned"):
        source = {"secretKeyRef": {"name": name, "key": "token"}}
        container["env"].append({"name": name.upper(), "valueFrom": source})
    return objects


def environment(service: KubeService) -> tuple[str, ...]:
    """Return what the program in the pod has of the two Secrets."""
    name = service.pods()[0]["metadata"]["name"]
    code = "import os; print(os.environ['SETTINGS'], os.environ['OWNED'])"
    return tuple(service.kubectl("exec", name, "--", interpreter(), "-c", code).split())


def told_anywhere(service: KubeService, folder: Path, said: str) -> list[str]:
    """Return where any value of a Secret stands, in whatever form, that is not a Secret."""
    plain = [FIRST, SECOND, OLD, NEW]
    values = [v.encode() for v in (*plain, *(base64.b64encode(v.encode()).decode() for v in plain))]
    kinds = "configmaps,leases,deployments,replicasets,events"
    places = {"output": said.encode(), "objects": service.kubectl("get", kinds, "-o", "yaml").encode()}
    places |= {str(f): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    return [place for place, content in places.items() if any(v in content for v in values)]


def test_a_listed_one_comes_back_and_a_rotated_password_does_not(
    fresh: KubeService, database: EmbeddedPostgres
) -> None:
    cli = fresh.configure(secrets=LISTED)
    rotated = Rotated(database, fresh)
    rotated.to(OLD)
    owner = owned_by_a_controller(fresh)
    fresh.apply(*optional_role(), secret("settings", token=FIRST), secret("owned", owner, token=FIRST))
    fresh.apply(*with_secrets(fresh, "1.0.0"))
    fresh.rolled_out()
    said = cli("record", "--state", "good", "--no-checks").ended(0).everything

    rotated.to(NEW)
    fresh.apply(secret("settings", token=SECOND), secret("owned", owner, token=SECOND))
    fresh.apply(*with_secrets(fresh, "2.0.0"))
    fresh.rolled_out()
    said += cli("record", "--no-checks").ended(0).everything
    assert environment(fresh) == (SECOND, SECOND)

    doctor = cli("doctor")
    assert "secret owned: refused: it is not kept, because ConfigMap/collector writes it" in doctor.everything
    assert "secret settings: kept with every release" in doctor.everything
    planned = cli("plan", "-o", "plan.json").ended(0).everything
    for words in (
        "Secret collector was changed since 1.0.0 was recorded; it stays as it is now",
        "Secret settings was changed since; 1.0.0 gets it as it was then",
        "Secret owned was changed since, and is not restored: ConfigMap/collector writes it",
        "with Secret settings as then",
    ):
        assert words in " ".join(planned.split()), planned
    said += planned + cli("run", "plan.json", "--yes").ended(0).everything

    assert (fresh.served(), environment(fresh)) == (["1.0.0"], (FIRST, SECOND))
    live = fresh.get("secret", "settings")
    assert base64.b64decode(live["data"]["token"]).decode() == SECOND, "the live one is left alone"
    copies = fresh.get("secrets", "-l", "backout/kind=secret")["items"]
    assert {c["metadata"]["name"].partition(".")[0] for c in copies} == {"settings"}
    assert all(c["immutable"] for c in copies)
    account = f"--as=system:serviceaccount:{fresh.namespace}:backout"
    name = copies[0]["metadata"]["name"]
    told = fresh.node.kubectl(
        "-n", fresh.namespace, "auth", "can-i", "get", f"secret/{name}", account, check=False
    )
    assert told.stdout.strip() == "no"

    forward = ("--accept", "quarantined", "--accept", "known-bad", "--accept", "schema-unknown")
    said += cli("run", "--to", "2.0.0", *forward, "--yes").ended(0).everything
    assert (fresh.served(), environment(fresh)) == (["2.0.0"], (SECOND, SECOND))
    said += cli("report").everything + cli("history").everything + doctor.everything
    assert told_anywhere(fresh, cli.directory, said) == []

"""An image is named that neither history nor a record has: as `kubectl set image`, with what can be known of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests import registry as real
from tests.registry import Identity, Registry, TokenServer

from backout.children import Children
from testbed import collector
from testbed.images import Image

from .service import IMAGES, NAME, KubeService

pytestmark = pytest.mark.slow

TAG = "docker.io/library/collector:3.0.0"
NOWHERE = {"HTTPS_PROXY": "http://127.0.0.1:9"}
"""Docker's own registry is not asked by a test: the way there is a closed door."""


def test_by_tag_by_digest_and_one_that_is_nowhere(fresh: KubeService) -> None:
    cli = fresh.configure()
    cli = replace(cli, environ={**cli.environ, **NOWHERE, "NO_PROXY": fresh.node.gateway})
    told = ("run", "--to", "collector:3.0.0", "--accept", "schema-unknown", "--yes")
    unknown = f"{TAG} is a tag.*and the registry docker.io cannot be asked: ConnectError"
    cli(*told).refused(4, what=unknown, now="2.0.0 still runs", next=f"--to {TAG} .*--accept image-by-tag")
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


@pytest.fixture
def children(require_service: Callable[[str], None], tmp_path: Path) -> Iterator[Children]:
    require_service("docker-registry")
    made = Children(tmp_path / "registries")
    yield made
    made.close()


def renamed(service: KubeService, registry: Registry, version: str) -> Image:
    """Return the service's image as one of that registry's; node and registry have it."""
    image = replace(
        collector.image(service.node.home, version), name=f"{registry.host}/team/collector:{version}"
    )
    service.node.load(image)
    registry.push(image)
    return image


def test_the_registry_tells_what_a_tag_is(fresh: KubeService, children: Children, tmp_path: Path) -> None:
    who = Identity(tmp_path / "identity", fresh.node.gateway)
    registry = Registry(tmp_path, children, address=fresh.node.gateway, tls=who, auth=real.password(tmp_path))
    two, three = (renamed(fresh, registry, version) for version in ("2.0.0", "3.0.0"))
    fresh.set_image(two.name)
    fresh.rolled_out()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: real.login()}}))
    cli = fresh.configure()
    known = ("--accept", "schema-unknown")
    told = ("run", "--to", "collector:3.0.0", *known, "--yes")
    cli(*told).refused(4, what="CERTIFICATE_VERIFY_FAILED", now="2.0.0 still runs", next="image-by-tag")
    cli = replace(cli, environ={**cli.environ, "SSL_CERT_FILE": str(who.pem)})
    cli(*told).refused(4, what=r"told no digest \(401\)", now="2.0.0 still runs", next="image-by-tag")
    cli = replace(cli, environ={**cli.environ, "DOCKER_CONFIG": str(tmp_path)})
    cli("run", "--to", "collector:9.9.9", *known, "--yes").refused(
        4,
        what=f"registry {registry.host} has no {registry.host}/team/collector:9.9.9",
        now=".",
        next="by-tag",
    )
    cli(*told).ended(0)
    assert fresh.served() == ["3.0.0"]
    (container,) = fresh.get(NAME)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{three.name}@{three.digest}"

    # A tag that was moved to what a release is known to have is that release.
    cli("record", "--no-checks").ended(0)
    fresh.set_image(two.name)
    fresh.rolled_out()
    registry.push(replace(three, name=f"{registry.host}/team/collector:stable"))
    plan = cli("plan", "--to", "collector:stable", *known, "--json").ended(0).json["plan"]
    assert plan["to_version"] == "3.0.0" and "image.new" not in str(plan)

    registry.stop()
    cli("plan", "--to", "collector:other", *known).ended(4)
    by_tag = cli("plan", "--to", "collector:other", *known, "--accept", "image-by-tag").ended(0)
    assert f"the registry {registry.host} cannot be asked" in " ".join(by_tag.everything.split())


def test_nobody_without_tls_is_believed(fresh: KubeService, children: Children, tmp_path: Path) -> None:
    who = Identity(tmp_path / "identity", fresh.node.gateway)
    tokens = TokenServer(tmp_path / "tokens")
    try:
        registry = Registry(tmp_path, children, address=fresh.node.gateway, tls=who, auth=tokens.settings)
        cli = fresh.configure()
        cli = replace(cli, environ={**cli.environ, "SSL_CERT_FILE": str(who.pem)})
        cli("run", "--to", f"{registry.host}/collector:1", "--accept", "schema-unknown", "--yes").refused(
            4, what=f"registry {registry.host} leads to an address without TLS", now=".", next="image-by-tag"
        )
    finally:
        tokens.close()
    assert tokens.asked == []

"""Secrets: a fingerprint tells a change and nothing else; who else writes one is left alone."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from backout.kubernetes.paths import plural
from backout.observed import Workload
from backout.platforms.kubernetes.options import SecretsOptions
from backout.platforms.kubernetes.permissions import secret_permissions
from backout.platforms.kubernetes.releases import Deployed, Made, Prints
from backout.platforms.kubernetes.secrets import Look, fingerprint, key_id, owner_of, values_of
from backout.platforms.kubernetes.switch_secrets import restored, secret_changes, secret_facts
from backout.release import Artefact

ROLE = Path(__file__).parents[4] / "deploy" / "permissions-secrets.yaml"
KEY, OTHER = b"k" * 32, b"o" * 32
OLD = Artefact(ref="1+a")
NAMES = ("rotated", "settings", "same")


def secret(
    type: str | None = None, owners: list[dict[str, str]] | None = None, **data: str
) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    meta = {"name": "s", **({"ownerReferences": owners} if owners else {})}
    return {"metadata": meta, "data": encoded, **({"type": type} if type else {})}


def test_a_fingerprint_is_of_key_name_type_and_content() -> None:
    one = fingerprint(KEY, "s", secret(token="a"))
    assert one == fingerprint(KEY, "s", secret("Opaque", token="a"))
    others = {
        fingerprint(OTHER, "s", secret(token="a")),
        fingerprint(KEY, "t", secret(token="a")),
        fingerprint(KEY, "s", secret(token="b")),
        fingerprint(KEY, "s", secret("kubernetes.io/tls", token="a")),
    }
    assert one not in others and len(others) == 4
    assert key_id(KEY) != key_id(OTHER)


def test_who_else_writes_it() -> None:
    assert owner_of(secret()) is None
    owners = [{"kind": "ExternalSecret", "name": "db"}]
    assert owner_of(secret(owners=owners)) == "ExternalSecret/db"
    assert owner_of(secret("kubernetes.io/service-account-token")) == "the token controller"


def test_every_value_is_known_to_be_cut_out_also_as_the_server_sends_it() -> None:
    found = values_of(secret(token="s3cr3t-value", port="5432"))
    assert "s3cr3t-value" in found and base64.b64encode(b"s3cr3t-value").decode() in found
    assert "5432" not in found, "a port is no secret, and would be cut out of every plan"
    assert values_of({"data": {"broken": "!"}}) == [] == values_of({})


def workload(
    now: dict[str, str] | None = None,
    *,
    key: bytes = KEY,
    owned: dict[str, str] | None = None,
    keep: tuple[str, ...] = ("settings",),
    then: Prints | None = None,
    made: dict[str, Made] | None = None,
) -> Workload:
    """Return a service whose release 1 had every Secret as `then`, and kept `settings`."""
    then = then or Prints(key=key_id(KEY), found=dict.fromkeys(NAMES, "then"), kept=("settings",))
    release = Deployed(ref="1+a", version="1", templates={}, secrets=NAMES, prints=then, made=made or {})
    prints = Prints(key=key_id(key), found=now) if now is not None else None
    options = SecretsOptions(watch=NAMES, keep=keep)
    facts = secret_facts(Look(prints, owned or {}), options)
    detail = {"secrets": facts, "releases": {"1+a": release.model_dump(mode="json")}}
    return Workload(wanted=Artefact(ref="2+b"), detail=detail)


CHANGED = {"rotated": "now", "settings": "now", "same": "then"}


@pytest.mark.parametrize(
    ("seen", "changes", "back"),
    [
        (workload(CHANGED), {"rotated": "changed", "settings": "restored"}, {"settings": "then"}),
        (workload(CHANGED, keep=()), {"rotated": "changed", "settings": "changed"}, {}),
        (
            workload(CHANGED, owned={"settings": "ExternalSecret/db", "rotated": "x"}),
            {"rotated": "changed", "settings": "owned"},
            {},
        ),
        (
            workload({"rotated": "then", "same": "then"}),
            {"settings": "restored"},
            {"settings": "then"},
        ),
        (
            workload(CHANGED, key=OTHER),
            {"rotated": "unknown", "settings": "restored", "same": "unknown"},
            {"settings": "then"},
        ),
        (
            workload(None),
            {"rotated": "unknown", "settings": "restored", "same": "unknown"},
            {"settings": "then"},
        ),
        (workload(dict.fromkeys(NAMES, "then")), {}, {}),
        (
            workload(
                CHANGED, made={"deployment/web": Made(base="b", images={}, secrets={"settings": "copy"})}
            ),
            {},
            {"settings": "copy"},
        ),
    ],
)
def test_what_becomes_of_each(seen: Workload, changes: dict[str, str], back: dict[str, str]) -> None:
    assert {c.name: c.how for c in secret_changes(seen, OLD)} == changes
    releases: Any = seen.detail["releases"]
    release = Deployed.model_validate(releases["1+a"])
    assert restored(seen, release) == back


def test_the_optional_role_is_what_doctor_asks_for() -> None:
    role = next(o for o in yaml.safe_load_all(ROLE.read_text()) if o["kind"] == "Role")
    given = {
        (verb, resource, name)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }
    asked = secret_permissions(("collector-settings",), keeps=True)
    assert {(p.verb, plural(p.kind), p.name) for p in asked} == given
    assert secret_permissions((), keeps=False) == ()


def test_of_what_runs_already_nothing_is_said() -> None:
    seen = workload(CHANGED).model_copy(update={"wanted": OLD})
    assert secret_changes(seen, OLD) == ()

"""What every generic step says of itself: sentences whose fields are all there, and commands to type."""

from __future__ import annotations

import pytest

from backout.backup import SwapOrder
from backout.document import Json
from backout.message import Message
from backout.plan.base import StepKind
from backout.plan.model import StepSpec
from backout.steps import generic_step_kinds

KINDS = generic_step_kinds()
BACKUP: dict[str, Json] = {
    "name": "collector_20261123_020000",
    "path": "/backups/collector_20261123_020000",
    "format": "directory",
    "size_bytes": 10,
    "identity": "10:1",
}
ORDER: dict[str, Json] = {
    "backup": "collector_20261123_020000",
    "path": "/backups/collector_20261123_020000",
    "identity": "10:1",
    "database": "collector_restored",
    "live": "collector",
}
SWAP: dict[str, Json] = {
    "order": SwapOrder(
        live="collector", live_oid=7, beside="collector_restored", kept="collector_before"
    ).model_dump(mode="json"),
    "fingerprint": "sha256:old",
    "prior_fingerprint": "sha256:new",
}
SWITCH: dict[str, Json] = SWAP | {
    "order": SwapOrder(
        live="collector", live_oid=7, beside="collector_restored", kept="collector"
    ).model_dump(mode="json"),
    "command": ["bin/use-database"],
    "cwd": "/srv/collector",
    "held": False,
}
HOLD: dict[str, Json] = {"name": "the-router", "prior": {}}
ROWS: dict[str, Json] = {"database": "collector", "then": {}, "usable": []}
TABLES: dict[str, Json] = {
    "beside": "collector_restored",
    "database": "collector",
    "tables": ["public.reports", "public.tenants"],
    "ceiling_rows": 7,
    "held": ["router"],
    "safety": "collector_safety",
}
SCRIPT: dict[str, Json] = {
    "path": "/backups/b1",
    "name": "b1",
    "database": "collector",
    "command": ["bin/restore-db.sh", "/backups/b1"],
    "cwd": "/srv/collector",
    "held": ["router"],
    "safety": "collector_safety",
    "fingerprint": "sha256:old",
    "prior_fingerprint": "sha256:new",
}
AUTOMATION: dict[str, Json] = {
    "name": "flux",
    "version": "5.4.0",
    "pause": "flux suspend kustomization shop",
    "resume": "flux resume kustomization shop",
}
MIGRATIONS: dict[str, Json] = {
    "migrations": [12, 13],
    "fingerprint": "sha256:old",
    "prior_fingerprint": "sha256:new",
    "alone": None,
}
CANARY: dict[str, Json] = {
    "version": "5.5.0",
    "ref": "5.5.0",
    "side": "green",
    "control": "blue",
    "share": 5,
}
PARAMS: dict[str, list[dict[str, Json]]] = {
    "guard": [{}],
    "hold": [
        HOLD | {"mode": m}
        for m in ("queue", "maintenance", "refuse_writes", "refuse_connections", "suspend", "a-new-mode")
    ],
    "hold.release": [
        HOLD | {"mode": m} for m in ("queue", "maintenance", "refuse_writes", "refuse_connections", "suspend")
    ],
    "hold.proof": [{"window_s": 1.5}],
    "canary.note": [
        {"meant": CANARY, "previous": None, "undoes": False},
        {"meant": None, "previous": CANARY, "undoes": True},
    ],
    "quarantine": [{"version": "5.5.0", "reason": "errors"}],
    "quarantine.lift": [{"version": "5.5.0", "reason": "errors"}],
    "backup.read": [
        {"backup": BACKUP | {"format": f}} for f in ("directory", "custom", "plain", "plain gzip")
    ],
    "restore.beside": [
        {"order": ORDER | {"format": f}, "unpacked_bytes": None}
        for f in ("directory", "custom", "plain", "plain gzip")
    ],
    "restore.drop": [{"order": ORDER | {"format": "custom"}, "unpacked_bytes": None}],
    "restore.check": [{"beside": "collector_restored", "live": "collector", "usable": []}],
    "data.count": [{"beside": "collector_restored", "ceiling_rows": n} for n in (None, 1500)],
    "data.swap": [SWAP],
    "data.switch": [SWITCH],
    "service.reconnect": [{"version": "5.4.0", "within_s": 10.0, "restart": []}],
    "data.compare": [{"kept": "collector_before"}],
    "backup.safety": [
        {"name": "collector_safety", "database": "collector", "held": []},
        {"name": "collector_safety", "database": "collector", "tables": ["public.reports"], "held": []},
    ],
    "data.rows": [
        ROWS | {"when": "before", "ceiling_rows": None},
        ROWS | {"when": "before", "ceiling_rows": 7},
        ROWS | {"when": "after", "ceiling_rows": None},
    ],
    "tables.check": [TABLES, TABLES | {"ceiling_rows": None}],
    "tables.restore": [TABLES, TABLES | {"safety": None}],
    "restore.command": [SCRIPT, SCRIPT | {"safety": None}],
    "automation.pause": [AUTOMATION],
    "automation.resume": [AUTOMATION],
    "migrations.prepare": [{"migrations": [12, 13]}],
    "migrations.unprepare": [{"migrations": [12, 13]}],
    "migrations.back": [MIGRATIONS],
    "migrations.again": [MIGRATIONS],
    "migrations.finish": [{}],
    "evidence.save": [{"by_hand": ["kubectl logs web"], "within_s": 10.0}],
    "verify": [{"version": "5.4.0", "ref": "releases/5.4.0", "digest": None}],
}
NAMED = {
    "guard": "releases/5.5.0",
    "hold": "the-router",
    "hold.release": "the-router",
    "hold.proof": "1.5",
    "canary.note": "canary",
    "quarantine": "5.5.0",
    "quarantine.lift": "5.5.0",
    "backup.read": "collector_20261123_020000",
    "restore.beside": "collector_restored",
    "restore.drop": "collector_restored",
    "restore.check": "collector_restored",
    "data.count": "the backup has not",
    "data.swap": "collector_before",
    "data.switch": "bin/use-database",
    "service.reconnect": "5.4.0",
    "data.compare": "collector_before",
    "backup.safety": "collector_safety",
    "data.rows": "collector",
    "tables.check": "public.reports",
    "tables.restore": "public.reports",
    "restore.command": "bin/restore-db.sh",
    "automation.pause": "flux",
    "automation.resume": "flux",
    "migrations.prepare": "12 and 13",
    "migrations.unprepare": "12 and 13",
    "migrations.back": "12 and 13",
    "migrations.again": "12 and 13",
    "migrations.finish": "constraints",
    "evidence.save": "10",
    "verify": "5.4.0",
}
CASES = [
    pytest.param(
        KINDS[kind],
        StepSpec(kind=kind, target="t", params=params, expects={"wanted": "releases/5.5.0"}),
        id=f"{kind}-{n}",
    )
    for kind, several in PARAMS.items()
    for n, params in enumerate(several)
]


def _text(message: Message) -> str:
    text = str(message)  # Raises where the template names a field that is not there.
    assert "{" not in text
    assert text == text.strip()
    assert text.endswith("."), text
    for name in message.fields:
        assert f"{{{name}" in message.template, f"{name} is given and never said"
    return text


def test_every_generic_kind_is_looked_at() -> None:
    assert set(PARAMS) == set(NAMED) == set(KINDS)


@pytest.mark.parametrize(("kind", "spec"), CASES)
def test_a_description_names_what_the_step_is_about(kind: StepKind, spec: StepSpec) -> None:
    assert NAMED[spec.kind] in _text(kind.describe(spec))


@pytest.mark.parametrize(("kind", "spec"), CASES)
def test_a_person_has_a_command_to_type(kind: StepKind, spec: StepSpec) -> None:
    commands = kind.by_hand(spec)
    assert commands
    for command in commands:
        assert command.strip() == command != ""
        assert "None" not in command


@pytest.mark.parametrize(("kind", "spec"), CASES)
def test_a_hazard_says_what_and_what_then(kind: StepKind, spec: StepSpec) -> None:
    for hazard in kind.hazards(spec):
        assert _text(hazard.what) != _text(hazard.then)


@pytest.mark.parametrize(("kind", "spec"), CASES)
def test_the_inverse_is_a_generic_step_that_says_its_words_too(kind: StepKind, spec: StepSpec) -> None:
    inverse = kind.inverse(spec)
    if inverse is not None:
        other = KINDS[inverse.kind]
        assert _text(other.describe(inverse)) != _text(kind.describe(spec))
        assert other.by_hand(inverse) != kind.by_hand(spec)
        assert other.inverse(inverse) == spec

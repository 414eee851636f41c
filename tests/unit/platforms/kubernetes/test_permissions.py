"""The Role that is documented is the one that `doctor` asks for: no verb more, none less."""

from __future__ import annotations

from pathlib import Path

import yaml

from backout.kubernetes.paths import group_of, plural
from backout.platforms.kubernetes.holds.options import KubernetesHoldOptions
from backout.platforms.kubernetes.permissions import hold_permissions, permissions

HOLD = KubernetesHoldOptions(
    serving="service",
    service="web",
    maintenance="deployment/maintenance",
    suspend=("cronjob/nightly", "job/once", "deployment/worker", "statefulset/queue"),
)
ROLE = Path(__file__).parents[4] / "deploy" / "permissions.yaml"
HOLD = KubernetesHoldOptions(
    serving="service", service="collector", suspend=("cronjob/nightly", "job/import", "deployment/worker")
)


def test_role_and_doctor_agree() -> None:
    role = next(o for o in yaml.safe_load_all(ROLE.read_text()) if o["kind"] == "Role")
    given = {
        (verb, group, resource)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    asked = {
        (p.verb, group_of(p.kind), plural(p.kind) + (f"/{p.subresource}" if p.subresource else ""))
        for p in (
            *permissions(frozenset({"Deployment", "StatefulSet", "DaemonSet"})),
            *hold_permissions(HOLD),
        )
    }
    assert asked == given
    assert not any(resource == "secrets" for _, _, resource in given)

"""What is said of who else changes what runs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.backed import NEW, NOW, facts, release

from backout.assess.allowed import Allowed
from backout.assess.assess import assess
from backout.assess.model import Request, is_acceptable
from backout.message import msg
from backout.observed import Answer, Owner
from backout.plan.model import Finding, Severity
from backout.release import Artefact

BAD = release("2", 1, NEW, commit="b" * 40)
GOOD = release("1", 24, NEW, commit="a" * 40)


def findings(to: str = "1", **changes: Any) -> list[Finding]:
    told: dict[str, Any] = {
        "kind": "argocd",
        "name": "shop",
        "reverts": Answer.YES,
        "evidence": msg("It heals"),
    }
    seen = facts(BAD, GOOD, data=None)
    workload = seen.workload.value
    assert workload is not None
    owned = workload.model_copy(update={"owners": (Owner(**(told | changes)),)})
    seen = seen.model_copy(update={"workload": seen.workload.model_copy(update={"value": owned})})
    target = next(r for r in seen.releases if r.version == to)
    found = assess(seen, Request(to=to), Allowed(), target, Artefact(ref=to), NOW)
    return [f for f in found.findings if f.rule.startswith("owner.")]


@pytest.mark.parametrize(
    ("reverts", "severity"), [(Answer.YES, Severity.BLOCKS), (Answer.UNKNOWN, Severity.NEEDS_APPROVAL)]
)
def test_what_would_undo_it_stops_the_plan_and_names_the_way_back_in_git(
    reverts: Answer, severity: Severity
) -> None:
    (found,) = findings(reverts=reverts, stop="argocd app set shop --sync-policy none", branch="main")
    assert (found.severity, found.accept) == (severity, "automation:shop")
    assert found.command == "argocd app set shop --sync-policy none"
    remedy = str(found.remedy)
    assert f"on main: git revert --no-edit {'a' * 40}..{'b' * 40} && git push" in remedy
    assert f"git diff {'b' * 40} {'a' * 40}" in remedy and "backout verify" in remedy


def test_what_the_automation_says_of_its_commits_comes_first() -> None:
    (found,) = findings(commit="c" * 40)
    assert found.command == f"git revert --no-edit {'c' * 40} && git push"


def test_what_can_be_paused_stops_nothing() -> None:
    (found,) = findings(pausable=True)
    assert (found.rule, found.severity) == ("owner.paused-first", Severity.INFO)


def test_what_takes_nothing_back_is_named_alone() -> None:
    (found,) = findings(reverts=Answer.NO)
    assert (found.rule, found.severity) == ("owner.named", Severity.INFO)


def test_nothing_is_said_where_nothing_changes() -> None:
    assert findings(to="2") == []


def test_a_risk_has_the_owners_name() -> None:
    assert is_acceptable("automation:shop")
    assert not is_acceptable("automation:")

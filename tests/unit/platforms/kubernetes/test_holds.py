"""What a hold writes on an object, and what the configuration of one may say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from backout.platforms.kubernetes.holds.marks import Mark, change, is_over, mark_of, value_of
from backout.platforms.kubernetes.names import WorkloadName
from backout.platforms.kubernetes.options import KubernetesOptions

WEB, SERVICE = WorkloadName("Deployment", "web"), WorkloadName("Service", "web")
CRON = WorkloadName("CronJob", "nightly")


def obj(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "7", "annotations": {"team": "a"}}, "spec": spec}


def merged(whole: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Apply a merge patch (RFC 7386)."""
    result = dict(whole)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key) or {}, value) if isinstance(value, dict) else value
    return result


@pytest.mark.parametrize(
    ("thing", "before", "held"),
    [
        (WEB, obj(replicas=3), 0),
        (WEB, obj(replicas=0), 0),
        (CRON, obj(suspend=False), True),
        (SERVICE, obj(selector={"app": "web", "tier": "front"}), {"app": "maintenance"}),
    ],
)
def test_what_was_before_comes_back_exactly(thing: WorkloadName, before: dict[str, Any], held: Any) -> None:
    prior = value_of(thing, before)
    there = merged(before, change(thing, before, held, Mark(prior)))
    assert value_of(thing, there) == held and mark_of(there) == Mark(prior)
    ending = merged(there, change(thing, there, prior, Mark(prior, ends=True)))
    assert mark_of(ending) == Mark(prior, ends=True)
    assert merged(ending, change(thing, ending, prior, None)) == before


def test_a_mark_that_cannot_be_read_is_none() -> None:
    for text in ("", "no JSON", "[]", '{"other": 1}'):
        assert mark_of({"metadata": {"annotations": {"backout/held": text}}}) is None


def test_a_job_that_ended_has_nothing_to_suspend() -> None:
    assert is_over({"status": {"conditions": [{"type": "Failed", "status": "True"}]}})
    assert not is_over({"status": {"conditions": [{"type": "Suspended", "status": "True"}]}})


@pytest.mark.parametrize(
    ("workloads", "hold", "words"),
    [
        (["daemonset/a"], {"serving": "scale"}, "cannot scale daemonset/a"),
        (["deployment/a"], {"serving": "scale", "suspend": ["deployment/a"]}, "every workload"),
        (["deployment/a"], {"serving": "service"}, "go together"),
        (["deployment/a"], {"service": "a"}, "go together"),
        (["deployment/a"], {"serving": "scale", "maintenance": "deployment/b"}, "goes with serving: service"),
        (["deployment/a"], {"suspend": ["pod/a"]}, "cronjob/NAME"),
        (["deployment/a"], {"suspend": ["job/a", "job/a"]}, "once"),
    ],
)
def test_a_hold_that_cannot_work_is_told_when_the_file_is_read(
    workloads: list[str], hold: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        KubernetesOptions.model_validate({"workloads": workloads, "hold": hold})

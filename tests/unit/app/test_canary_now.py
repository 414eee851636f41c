"""Whether a canary shares the requests, and who has the others."""

from __future__ import annotations

import pytest
from tests.unit.backed import NEW, facts, release
from tests.unit.platforms.sides.test_look import platform

from backout.app.canary_now import control_of, sharing
from backout.app.parts import Parts
from backout.assess.allowed import Allowed
from backout.canary import Meant
from backout.clock import SystemClock
from backout.observed import Observed, Workload
from backout.platforms.base import Site
from backout.redact import Redactor
from backout.release import Artefact

MEANT = Meant(version="v2", ref="v2", side="green", control="blue", share=5)
URLS = dict.fromkeys(("blue", "green"), "http://127.0.0.1:1")


def seen(shares, versions=None):
    found = facts(release("v2", 1, NEW), release("v1", 5, NEW), data=None)
    detail = {"shares": shares, "versions": versions or {"blue": "v1", "green": "v2"}, "ready": []}
    workload = Workload(wanted=Artefact(ref="v1"), running=(Artefact(ref="v1"),), detail=detail)
    told = Observed[Workload](value=workload, source="platform", observed_at=found.observed_at)
    return found.model_copy(update={"workload": told})


@pytest.fixture
def parts(tmp_path):
    """A service with a state file of its own."""
    found = Parts(
        site=Site("shop", "production", tmp_path, {}, SystemClock(), Redactor()),
        platform=platform(URLS, {"blue": 100, "green": 0}),
        router=None,
        database=None,
        make_holds=tuple,
        declared_checks=(),
        allowed=Allowed(),
        plan_expires_s=1800,
        state_directory=tmp_path,
        actor="ana@web1",
    )
    yield found
    found.close()


def test_it_has_the_share_that_the_router_says_whatever_was_meant(parts):
    parts.canaries.mean(MEANT, "run-1", 0)
    found = sharing(parts, seen({"blue": 75, "green": 25}))
    assert found == MEANT.model_copy(update={"share": 25})
    assert control_of(parts, seen({"blue": 75, "green": 25}), found) == "v1"


@pytest.mark.parametrize(
    ("meant", "shares", "versions"),
    [
        (None, {"blue": 75, "green": 25}, None),
        (MEANT, {"blue": 100, "green": 0}, None),
        (MEANT, {"blue": 0, "green": 100}, None),
        (MEANT, {"blue": 75, "green": 25}, {"blue": "v1", "green": "v3"}),
    ],
)
def test_none_does(parts, meant, shares, versions):
    parts.canaries.mean(meant, "run-1", 0)
    assert sharing(parts, seen(shares, versions)) is None


def test_an_emergency_does_not_ask_the_journal(parts):
    parts.canaries.mean(MEANT, "run-1", 0)
    parts.emergency = True
    assert sharing(parts, seen({"blue": 75, "green": 25})) is None

"""Plans of one service with backups, for tests that look at them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.unit.backed import NEW, NOW, OLD, backup, data_facts, facts, release

from backout.assess.allowed import Allowed
from backout.assess.assess import assess
from backout.assess.model import Request
from backout.assess.versions import choose_target, release_of
from backout.clock import SystemClock
from backout.facts import Facts
from backout.observed import Answer, HoldFact
from backout.plan.assembly import RestoreTerms, Terms
from backout.plan.back import plan_back
from backout.plan.model import Plan, PlannedStep, Scenario
from backout.platforms.base import Platform, Site
from backout.platforms.command import CommandPlatform
from backout.platforms.process import ProcessPlatform
from backout.redact import Redactor
from backout.steps import generic_step_kinds

BAD = release("5.5.0", 3, NEW)
GOOD = release("5.4.0", 48, OLD)
ROUTER = HoldFact(name="router", modes=("queue", "maintenance"), held=Answer.NO, prior={"mode": "pass"})
DATABASE = HoldFact(name="database", modes=("refuse_writes",), held=Answer.NO)
WORKERS = HoldFact(name="workers", modes=("suspend",), held=Answer.NO)
HOLDS = (ROUTER, DATABASE, WORKERS)


def site() -> Site:
    return Site("shop", "production", Path("/srv/shop"), {}, SystemClock(), Redactor())


PROCESS = ProcessPlatform.create(
    ProcessPlatform.Options.model_validate(
        {"root": "/srv/shop", "start": ["bin/serve"], "pid_file": "shared/pid"}
    ),
    site(),
)
COMMAND = CommandPlatform.create(
    CommandPlatform.Options.model_validate({"deploy": ["bin/deploy", "{version}"], "probe": ["bin/version"]}),
    site(),
)
KINDS = generic_step_kinds() | dict(PROCESS.step_kinds()) | dict(COMMAND.step_kinds())


def terms(**restore: Any) -> Terms:
    return Terms(
        plan_id="plan-1",
        now=NOW,
        expires_s=1800.0,
        verify_timeout_s=60.0,
        has_database=True,
        restore=RestoreTerms(**restore),
    )


def planned(
    seen: Facts,
    platform: Platform = PROCESS,
    *,
    own_script: tuple[str, ...] | None = None,
    own_switch: tuple[str, ...] | None = None,
    **request: Any,
) -> Plan:
    asked = Request.model_validate({"scenario": Scenario.FULL} | request)
    workload = seen.workload.value
    assert workload is not None and workload.wanted is not None
    target = choose_target(seen, asked.to)
    if asked.scenario is Scenario.DATA:
        running = release_of(seen, workload.wanted.ref)
        assert running is not None
        target = running
    assert target.artefact is not None
    allowed = Allowed(own_script=own_script is not None, own_switch=own_switch is not None)
    found = assess(seen, asked, allowed, target, target.artefact, NOW)
    switch = platform.switch(
        workload, target.artefact, from_version=found.current_version, to_version=target.version
    )
    restart = platform.restart(target.artefact, target.version) if platform is PROCESS else ()  # type: ignore[attr-defined]
    return plan_back(
        found,
        seen,
        asked,
        () if asked.scenario is Scenario.DATA else switch,
        KINDS,
        terms(queues=("public.outbox",), command=own_script, switch=own_switch, cwd="/srv/shop"),
        restart=restart,
    )


def full(**changes: Any) -> Facts:
    rows = {"rows": {"public.t": 1500}}
    of = backup("b1", 4, OLD, rows={"public.t": 1000}, rows_exact=True)
    return facts(BAD, GOOD, data=data_facts(of, **(rows | changes)), holds=HOLDS)


def data_only(**changes: Any) -> Facts:
    """The release that runs can use what was there before it."""
    bad = BAD.model_copy(update={"served_well": (OLD.fingerprint, NEW.fingerprint)})
    return full(**changes).model_copy(update={"releases": (bad, GOOD)})


def told(plan: Plan) -> list[str]:
    return [
        f"{s.spec.kind} {s.spec.params['name']}" if s.spec.kind.startswith("hold") else s.spec.kind
        for s in plan.steps
    ]


def step(plan: Plan, kind: str) -> PlannedStep:
    return next(s for s in plan.steps if s.spec.kind == kind)

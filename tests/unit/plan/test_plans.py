"""The planner on random releases and facts: the invariant holds everywhere, or the plan is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.backed import NOW, backup, beside, data_facts, hours, reading

from backout.assess.allowed import Allowed
from backout.assess.assess import assess
from backout.assess.model import Assessment, Request
from backout.assess.versions import choose_target, current_version
from backout.backup import Backup
from backout.clock import SystemClock
from backout.errors import BackoutError, ExitCode, NothingToGoBackTo
from backout.facts import DataFacts, Facts
from backout.observed import Answer, HoldFact, Observed, Workload
from backout.plan.abort import plan_abort
from backout.plan.assembly import Terms
from backout.plan.back import plan_back
from backout.plan.base import World
from backout.plan.model import Phase, Plan, Scenario
from backout.plan.refusal import refusal
from backout.plan.restoring import restored_fingerprint
from backout.plan.simulate import simulate
from backout.plan.start import world_now
from backout.platforms.abilities import Restarts
from backout.platforms.base import Platform, Site
from backout.platforms.command import CommandPlatform
from backout.platforms.process import ProcessPlatform
from backout.redact import Redactor
from backout.release import Artefact, Quarantine, Release, ReleaseState
from backout.schema import Column, Schema, Table
from backout.steps import generic_step_kinds

MANIFEST = {"rows": {"public.t": 5}, "rows_exact": True}
VERSIONS = ("1.0.0", "1.1.0", "1.2.0", "2.0.0")


def column(type_: str = "text", *, nullable: bool = True) -> Column:
    return Column(type=type_, nullable=nullable)


SCHEMAS = (
    Schema(tables={"public.t": Table(kind="table", columns={"a": column()})}),
    Schema(tables={"public.t": Table(kind="table", columns={"a": column(), "b": column()})}),
    Schema(tables={"public.t": Table(kind="table", columns={"b": column()})}),
    Schema(tables={"public.t": Table(kind="table", columns={"a": column("integer"), "b": column()})}),
)


def site() -> Site:
    return Site("shop", "production", Path("/srv/shop"), {}, SystemClock(), Redactor())


def platforms() -> tuple[Platform, ...]:
    process = ProcessPlatform.Options.model_validate(
        {"root": "/srv/shop", "start": ["bin/serve"], "pid_file": "shared/pid"}
    )
    command = CommandPlatform.Options.model_validate(
        {"deploy": ["bin/deploy", "{version}"], "probe": ["bin/version"]}
    )
    return ProcessPlatform.create(process, site()), CommandPlatform.create(command, site())


PLATFORMS = platforms()


def observed(kind, value):  # type: ignore[no-untyped-def]
    return Observed[kind](value=value, source="test", observed_at=NOW)


@st.composite
def releases(draw: st.DrawFn) -> tuple[Release, ...]:
    count = draw(st.integers(1, 4))
    made = []
    for number in range(count):
        served = draw(st.sets(st.sampled_from([s.fingerprint for s in SCHEMAS]), max_size=2))
        made.append(
            Release(
                id=f"rel-{number}",
                service="shop",
                environment="production",
                version=VERSIONS[number],
                deployed_at=NOW - timedelta(days=10 - number),
                artefact=Artefact(ref=VERSIONS[number]),
                schema_fingerprint=draw(st.sampled_from([None, *(s.fingerprint for s in SCHEMAS)])),
                served_well=tuple(sorted(served)),
                state=draw(st.sampled_from(list(ReleaseState))),
            )
        )
    return tuple(reversed(made))


@st.composite
def backups(draw: st.DrawFn) -> tuple[Backup, ...]:
    made = []
    for number in range(draw(st.integers(1, 3))):
        on = draw(st.sampled_from([None, *SCHEMAS]))
        ago = draw(st.sampled_from([1, 60, 190, 230, 250] if on else [None, 60, 190, 250]))
        made.append(backup(f"b{number}", ago, on, **(MANIFEST if on else {})))
    return tuple(made)


@st.composite
def restorables(draw: st.DrawFn) -> DataFacts:
    found = draw(backups())
    standing = tuple(
        beside("shop_prepared_20260101_000000", b)
        for b in found
        if draw(st.sampled_from([False, False, True]))
    )
    return data_facts(
        *found,
        free_bytes=draw(st.sampled_from([None, 10, 10**12])),
        may_create=draw(st.sampled_from([True, True, False])),
        readings={b.name: reading(b, *draw(st.sampled_from([(), (), ("Damaged",)]))) for b in found},
        beside=standing[:1],
        slots=draw(st.sampled_from([(), ("s",)])),
    )


@st.composite
def facts(draw: st.DrawFn, *, restores: bool = False) -> Facts:
    known = draw(releases())
    refs = [r.version for r in known]
    wanted = draw(st.sampled_from([*refs] if restores else [None, *refs]))
    running = draw(st.sets(st.sampled_from(refs), max_size=2))
    held = draw(st.sampled_from(list(Answer)))
    schema = draw(st.sampled_from([None, *SCHEMAS]))
    quarantined = draw(st.sets(st.sampled_from(refs), max_size=1))
    return Facts(
        observed_at=NOW,
        service="shop",
        environment="production",
        platform="process",
        workload=observed(
            Workload,
            Workload(
                wanted=Artefact(ref=wanted) if wanted else None,
                running=tuple(Artefact(ref=r) for r in sorted(running)),
                up=len(running),
            ),
        ),
        available=observed(tuple[Artefact, ...], tuple(Artefact(ref=r) for r in refs)),
        schema_now=observed(Schema, schema),
        holds=(
            HoldFact(
                name="router",
                modes=("queue", "maintenance"),
                held=held,
                mode="maintenance" if held is Answer.YES else None,
                prior={"mode": "pass"},
            ),
            HoldFact(name="database", modes=("refuse_writes",), held=Answer.NO),
            HoldFact(name="workers", modes=("suspend",), held=draw(st.sampled_from(list(Answer)))),
        )[draw(st.sampled_from([0, 0, 1])) :],
        releases=known,
        schemas={s.fingerprint: s for s in SCHEMAS},
        quarantined=tuple(Quarantine(version=v, reason="test", since=NOW) for v in sorted(quarantined)),
        data=draw(
            (st.nothing() if restores else st.none())
            | restorables().map(lambda found: observed(DataFacts, found))
        ),
    )


RISKS = (
    "schema-unknown",
    "quarantined",
    "known-bad",
    "data-stays-damaged",
    "space-unknown",
    "logical-slots",
)
anything = st.builds(
    Request,
    to=st.sampled_from([None, *VERSIONS]),
    scenario=st.sampled_from([None, Scenario.CODE]),
    cause=st.sampled_from([None, "code", "both"]),
    hold_first=st.booleans(),
    accept=st.sets(st.sampled_from(RISKS), max_size=6).map(lambda names: tuple(sorted(names))),
)
restores = st.builds(
    Request,
    to=st.sampled_from([None, *VERSIONS]),
    scenario=st.sampled_from([Scenario.DATA, Scenario.FULL]),
    hold_first=st.booleans(),
    accept=st.sampled_from([(), RISKS, RISKS]),
    backup=st.sampled_from([None, None, "b0", "b1"]),
    at=st.sampled_from([None, None, hours(0)]),
)
asked = st.tuples(facts(), anything) | st.tuples(facts(restores=True), restores)


def kinds(platform: Platform):  # type: ignore[no-untyped-def]
    return generic_step_kinds() | dict(platform.step_kinds())


def terms() -> Terms:
    return Terms(plan_id="plan-1", now=NOW, expires_s=1800.0, verify_timeout_s=60.0, has_database=True)


class Case(NamedTuple):
    """A plan, and what it was made of; `data` draws what a test needs beside."""

    seen: Facts
    request: Request
    platform: Platform
    plan: Plan
    found: Assessment
    data: st.DataObject


def made(seen: Facts, request: Request, platform: Platform) -> tuple[Plan, Assessment] | None:
    """Return the plan, or None where it is refused outright (always by an error that says why)."""
    try:
        to = current_version(seen) if request.scenario is Scenario.DATA else request.to
        target = choose_target(seen, to)
        artefact = Artefact(ref=target.version)
        found = assess(seen, request, Allowed(), target, artefact, NOW)
        assert seen.workload.value is not None
        switch = (
            ()
            if request.scenario is Scenario.DATA
            else platform.switch(
                seen.workload.value, artefact, from_version=found.current_version, to_version=target.version
            )
        )
        restart = platform.restart(artefact, target.version) if isinstance(platform, Restarts) else ()
        table = kinds(platform)
        return plan_back(found, seen, request, switch, table, terms(), restart=restart), found
    except BackoutError as error:
        assert error.exit_code in (ExitCode.USAGE, ExitCode.NOT_POSSIBLE, ExitCode.NEEDS_APPROVAL)
        assert error.next_command.startswith("backout ")
        return None


def for_plans(examples: int) -> Callable[[Callable[[Case], None]], Callable[[], None]]:
    """Run a test for what random facts and requests lead to, where that is a plan."""

    def decorate(test: Callable[[Case], None]) -> Callable[[], None]:
        @given(asked, st.sampled_from(PLATFORMS), st.data())
        @settings(max_examples=examples, deadline=None)
        def run(question: tuple[Facts, Request], platform: Platform, data: st.DataObject) -> None:
            seen, request = question
            result = made(seen, request, platform)
            if result is not None:
                test(Case(seen, request, platform, *result, data))

        run.__name__ = test.__name__
        return run

    return decorate


@for_plans(400)
def test_between_any_two_steps_every_acting_version_can_use_the_schema_or_the_plan_is_refused(
    case: Case,
) -> None:
    seen, request, platform, plan, found = case[:5]
    start = world_now(seen)
    may_act = {(v, start.fingerprint) for v in start.acting}
    becomes = start.fingerprint if found.choice is None else restored_fingerprint(found.choice)
    if found.compatibility.answer is Answer.YES:
        may_act.add((found.target.version, becomes))
    broken = {
        (version, visit.world.fingerprint)
        for visit in simulate(plan.steps, kinds(platform), start)
        for version in visit.world.acting
    } - may_act
    if refusal(plan, NOW) is None:
        # A target that runs already meets no schema that it does not meet now.
        inherited = {(v, start.fingerprint) for v in start.acting}
        assert found.compatibility.answer is not Answer.NO or (found.target.version, becomes) in inherited
        assert not broken or "schema-unknown" in request.accept
        # What a person may accept: the target on a schema nobody knows about, and, where nothing holds requests,
        # that what runs now meets the restored one.
        assert broken <= {(v, becomes) for v in (found.target.version, *(start.serving if plan.data else ()))}
        assert (found.target.version, becomes) not in broken or found.compatibility.answer is Answer.UNKNOWN


@for_plans(300)
def test_a_plan_ends_with_the_target_serving_alone_and_nothing_held(case: Case) -> None:
    seen, request, platform, plan, found = case[:5]
    start = world_now(seen)
    end = list(simulate(plan.steps, kinds(platform), start))[-1].world
    assert end.holds == frozenset()
    stays = request.scenario is Scenario.DATA
    assert end.serving == (start.serving if stays else {found.target.version})
    assert [s.spec.kind for s in plan.steps if s.spec.kind != "data.compare"][-1] == "verify"
    assert end.fingerprint == (restored_fingerprint(found.choice) if found.choice else start.fingerprint)


@for_plans(300)
def test_a_backup_is_whole_beside_before_anything_is_held_and_swapped_in_before_the_target_starts(
    case: Case,
) -> None:
    seen, request, platform, plan, found = case[:5]
    kind_of = [s.spec.kind for s in plan.steps]
    if plan.data is None:
        assert not {"data.swap", "restore.beside"} & set(kind_of)
        return
    at = kind_of.index
    assert at("guard") < at("backup.read") < at("restore.beside") < at("restore.check") < at("data.count")
    assert at("data.count") < at("data.swap") < at("verify") < at("data.compare") == len(kind_of) - 1
    assert "hold" not in kind_of or (at("hold") < at("guard")) == request.hold_first
    assert request.hold_first or "hold" not in kind_of or at("data.count") < at("hold") < at("data.swap")
    assert plan.point_of_no_return is None
    letting_go = {s.spec.params["name"] for s in plan.steps if s.spec.kind == "hold.release"}
    assert "workers" not in letting_go
    for visit in simulate(plan.steps[: at("data.swap")], kinds(platform), world_now(seen)):
        assert (
            found.target.version in world_now(seen).serving or found.target.version not in visit.world.serving
        )


@for_plans(300)
def test_phases_never_go_back_and_the_plan_survives_being_written_down(case: Case) -> None:
    seen, request, _, plan, _ = case[:5]
    order = list(Phase)
    positions = [order.index(s.phase) for s in plan.steps]
    assert positions == sorted(positions)
    assert len({s.key for s in plan.steps}) == len(plan.steps)
    again = Plan.model_validate_json(plan.model_dump_json())
    assert again.digest == plan.digest
    if request.hold_first and any(h.held is Answer.NO for h in seen.holds) and len(plan.steps) > 1:
        assert plan.steps[0].spec.kind == "hold"


@for_plans(300)
def test_an_abort_from_any_step_leads_back_to_where_it_began(case: Case) -> None:
    seen, _, platform, plan, _ = case[:5]
    start, table = world_now(seen), kinds(platform)
    if len(start.serving) > 1 or start.code not in {None, *start.serving}:
        return  # A half-done deploy is not brought back: an abort starts the release that was wanted.
    if platform.kind == "command" and start.code is None:
        return  # Scripts know one version only: what runs is what is wanted.
    count = case.data.draw(st.integers(1, len(plan.steps)))
    begun = plan.steps[:count]
    world, changed = start, []
    for step in begun:
        after = table[step.spec.kind].effect(step.spec, world)[-1]
        if after != world or step.spec.kind in ("data.swap", "restore.beside"):
            changed.append(step.key)  # The others found their goal reached: they are not the run's to undo.
        world = after
    undo = plan_abort(plan, changed, table, terms(), ())
    dropped = [s.spec.params["order"] for s in undo.steps if s.spec.kind == "restore.drop"]
    assert all(plan.data and isinstance(o, dict) and o["database"] == plan.data.beside for o in dropped)
    end = list(simulate(undo.steps, table, world))[-1].world if undo.steps else world
    assert (end.holds, end.fingerprint) == (start.holds, start.fingerprint)
    if start.serving:
        assert end == World(start.serving, start.workers, start.holds, start.fingerprint, start.code)


def test_with_no_earlier_release_there_is_nothing_to_go_back_to() -> None:
    only = Release(
        id="rel-1",
        service="shop",
        environment="production",
        version="1.0.0",
        deployed_at=NOW,
        artefact=Artefact(ref="1.0.0"),
    )
    seen = Facts(
        observed_at=NOW,
        service="shop",
        environment="production",
        platform="process",
        workload=observed(Workload, Workload(wanted=Artefact(ref="1.0.0"))),
        available=observed(tuple[Artefact, ...], (Artefact(ref="1.0.0"),)),
        schema_now=observed(Schema, None),
        releases=(only,),
    )
    with pytest.raises(NothingToGoBackTo):
        choose_target(seen, None)

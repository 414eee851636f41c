"""Plans that take the data back: their steps, what undoes them, and what they say they cost."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.backed import NEW, NOW, OLD, backup, beside, data_facts, facts, hours, release

from backout.assess.allowed import Allowed
from backout.assess.assess import assess
from backout.assess.model import Request
from backout.assess.versions import choose_target, release_of
from backout.backup import RestoreOrder, SwapOrder, TableCount
from backout.clock import SystemClock
from backout.facts import Answer, Facts, HoldFact
from backout.plan.abort import plan_abort
from backout.plan.assembly import RestoreTerms, Terms
from backout.plan.back import plan_back
from backout.plan.model import Phase, Plan, PlannedStep, Scenario
from backout.plan.refusal import refusal
from backout.plan.restoring import database_name, rows_behind
from backout.platforms.base import Platform, Site
from backout.platforms.command import CommandPlatform
from backout.platforms.process import ProcessPlatform
from backout.redact import Redactor
from backout.schema import Schema
from backout.steps import generic_step_kinds
from backout.testing.steps import check_inverses, check_pure_half

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


def planned(seen: Facts, platform: Platform = PROCESS, **request: Any) -> Plan:
    asked = Request.model_validate({"scenario": Scenario.FULL} | request)
    workload = seen.workload.value
    assert workload is not None and workload.wanted is not None
    target = choose_target(seen, asked.to)
    if asked.scenario is Scenario.DATA:
        running = release_of(seen, workload.wanted.ref)
        assert running is not None
        target = running
    assert target.artefact is not None
    found = assess(seen, asked, Allowed(), target, target.artefact, NOW)
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
        terms(queues=("public.outbox",)),
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


LOOKS = ["backup.read", "restore.beside", "restore.check", "data.count"]
FULL = [
    "guard", "quarantine", *LOOKS, "hold router", "hold workers", "process.stop", "process.link", "data.swap",
    "process.start", "hold.release router", "verify", "data.compare",
]  # fmt: skip
DATA = [
    "guard", *LOOKS, "hold router", "hold workers", "data.swap", "service.reconnect", "hold.release router",
    "verify", "data.compare",
]  # fmt: skip


def test_full_restores_beside_first_and_swaps_while_nothing_runs() -> None:
    assert told(planned(full())) == FULL


def test_data_alone_leaves_the_code_and_waits_until_it_reaches_its_database_again() -> None:
    assert told(planned(data_only(), scenario=Scenario.DATA)) == DATA


def test_with_hold_first_everything_is_held_before_anything_is_read() -> None:
    plan = planned(full(), hold_first=True)
    assert told(plan) == [
        "hold router", "hold database", "hold workers", "guard", "quarantine", *LOOKS,
        "process.stop", "process.link", "data.swap", "hold.release database", "process.start",
        "hold.release router", "verify", "data.compare",
    ]  # fmt: skip
    assert [s.spec.params["mode"] for s in plan.steps[:3]] == ["maintenance", "refuse_writes", "suspend"]
    assert plan.downtime is not None and "01-hold … 15-hold-release" in str(plan.downtime.basis)


def test_data_alone_with_hold_first_lets_writes_through_only_after_the_swap() -> None:
    kinds = told(planned(data_only(), scenario=Scenario.DATA, hold_first=True))
    assert kinds[:4] == ["hold router", "hold database", "hold workers", "guard"]
    after = kinds[kinds.index("data.swap") :]
    assert after == [
        "data.swap", "hold.release database", "service.reconnect", "hold.release router", "verify",
        "data.compare",
    ]  # fmt: skip


def test_a_platform_of_one_script_swaps_before_that_script() -> None:
    kinds = told(planned(full(), COMMAND))
    assert kinds.index("data.swap") + 1 == kinds.index("command.switch")


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("scenario", [Scenario.DATA, Scenario.FULL])
def test_workers_that_were_suspended_stay_so_until_a_person_lets_them_go(
    scenario: Scenario, first: bool
) -> None:
    plan = planned(data_only(), scenario=scenario, hold_first=first)
    assert "hold workers" in told(plan)
    assert "hold.release workers" not in told(plan)


def test_a_means_that_lets_requests_wait_is_not_told_to_suspend_too() -> None:
    both = HoldFact(name="gate", modes=("queue", "suspend"), held=Answer.NO)
    seen = data_only().model_copy(update={"holds": (both,)})
    plan = planned(seen, scenario=Scenario.DATA)
    assert [s.spec.params["mode"] for s in plan.steps if s.spec.kind == "hold"] == ["queue"]


@pytest.mark.parametrize("scenario", [Scenario.DATA, Scenario.FULL])
def test_no_step_has_a_point_of_no_return_and_each_is_undone_or_only_looks(scenario: Scenario) -> None:
    plan = planned(data_only(), scenario=scenario)
    assert plan.point_of_no_return is None
    without = {s.spec.kind for s in plan.steps if s.inverse is None}
    assert without == {
        "guard", "backup.read", "restore.check", "data.count", "verify", "data.compare",
    } | ({"service.reconnect"} if scenario is Scenario.DATA else set())  # fmt: skip
    check_inverses(KINDS, [s.spec for s in plan.steps])


@pytest.mark.parametrize("scenario", [Scenario.DATA, Scenario.FULL])
def test_the_pure_half_of_every_planned_step_keeps_its_promises(scenario: Scenario) -> None:
    from backout.plan.start import world_now

    seen = data_only()
    for one in planned(seen, scenario=scenario).steps:
        check_pure_half(KINDS[one.spec.kind], one.spec, world_now(seen))


def test_the_swap_is_absolute_and_knows_which_database_is_live_now() -> None:
    order = SwapOrder.model_validate(step(planned(full()), "data.swap").spec.params["order"])
    assert (order.live, order.live_oid, order.beside_oid) == ("shop", 7, None)
    assert order.beside == "shop_restored_20261123_120000"
    assert order.kept == "shop_before_20261123_120000"
    assert order.keep_until is not None and order.keep_until > NOW


def test_swapping_back_knows_the_database_that_was_live() -> None:
    undo = step(planned(full()), "data.swap").inverse
    assert undo is not None
    order = SwapOrder.model_validate(undo.params["order"])
    assert (order.beside, order.beside_oid, order.kept) == (
        "shop_before_20261123_120000",
        7,
        "shop_restored_20261123_120000",
    )
    assert undo.params["fingerprint"] == NEW.fingerprint


def test_a_prepared_database_is_swapped_in_under_its_own_name() -> None:
    of = backup("b1", 4, OLD)
    ready = beside("shop_prepared_20261123_090000", of)
    plan = planned(facts(BAD, GOOD, data=data_facts(of, beside=(ready,))))
    assert plan.data is not None and plan.data.prepared
    order = RestoreOrder.model_validate(step(plan, "restore.beside").spec.params["order"])
    swap = SwapOrder.model_validate(step(plan, "data.swap").spec.params["order"])
    assert order.database == swap.beside == ready.name


# --- what undoes it -----------------------------------------------------------------------------


def undone(plan: Plan, until: str, *already: str) -> Plan:
    """Abort after a step; steps `already` so when the run came to them are not its to undo."""
    keys = [s.key for s in plan.steps]
    begun = keys[: keys.index(step(plan, until).key) + 1]
    mine = [k for k in begun if plan.step(k).spec.kind not in already]
    return plan_abort(plan, mine, KINDS, terms(), ())


def test_an_abort_after_the_swap_of_data_swaps_back_waits_for_the_service_and_lets_go() -> None:
    undo = undone(planned(data_only(), scenario=Scenario.DATA), "service.reconnect")
    assert told(undo) == [
        "data.swap", "service.reconnect", "hold.release workers", "hold.release router", "restore.drop",
    ]  # fmt: skip


def test_an_abort_of_full_swaps_back_before_the_code_starts_again() -> None:
    undo = undone(planned(full()), "process.start")
    assert told(undo) == [
        "process.stop", "data.swap", "process.link", "process.start", "hold.release workers",
        "hold.release router", "restore.drop", "quarantine.lift",
    ]  # fmt: skip


def test_an_abort_drops_only_what_this_run_restored_and_never_under_the_kept_name() -> None:
    plan = planned(full())
    for until in ("restore.beside", "data.count", "data.swap"):
        for undo in (s.spec for s in undone(plan, until).steps if s.spec.kind == "restore.drop"):
            order = RestoreOrder.model_validate(undo.params["order"])
            assert order.database == "shop_restored_20261123_120000"


def test_an_abort_leaves_a_database_that_was_prepared_before_the_run() -> None:
    of = backup("b1", 4, OLD)
    ready = beside("shop_prepared_20261123_090000", of)
    plan = planned(facts(BAD, GOOD, data=data_facts(of, beside=(ready,))))
    assert "restore.drop" not in told(undone(plan, "data.count", "restore.beside"))


def test_an_abort_does_not_say_that_rows_are_lost() -> None:
    assert undone(planned(full()), "data.swap").losses == ()


# --- what it says it costs ----------------------------------------------------------------------


def test_what_stays_behind_is_told_with_its_ceiling() -> None:
    plan = planned(full())
    assert plan.data is not None
    assert (plan.data.rows_behind, plan.data.ceiling_rows) == (500, 1550)
    assert step(plan, "data.count").spec.params["ceiling_rows"] == 1550
    text = " ".join(map(str, plan.losses))
    for word in ("public.t about 500", "shop_before_20261123_120000", "backout data bring", "public.outbox"):
        assert word in text


def test_a_ceiling_that_was_named_is_kept_also_where_it_is_zero() -> None:
    plan = planned(full(), max_loss_rows=0)
    assert step(plan, "data.count").spec.params["ceiling_rows"] == 0


def test_rows_of_a_table_that_the_backup_has_not_are_told_too() -> None:
    plan = planned(full(rows={"public.t": 1000, "public.later": 70}))
    assert plan.data is not None and plan.data.rows_behind == 70
    assert "public.later about 70" in str(plan.losses[0])


def test_without_a_count_in_the_backup_nothing_is_made_up() -> None:
    plan = planned(facts(BAD, GOOD, data=data_facts(backup("dump", 4), rows={"public.t": 5})))
    assert plan.data is not None
    assert (plan.data.rows_behind, plan.data.ceiling_rows) == (None, None)
    assert "counted once the backup stands restored" in str(plan.losses[0])


@pytest.mark.parametrize(
    ("counts", "behind"),
    [
        ((), None),
        ([("a", 5, None)], None),
        ([("a", 5, 3), ("b", 1, 4)], 2),
        ([("a", 5, 3), ("b", 4, None)], 6),
        ([("a", None, 3)], 0),
    ],
)
def test_rows_behind_never_cover_for_each_other(counts: list[Any], behind: int | None) -> None:
    made = tuple(TableCount(table=t, live=live, restored=restored) for t, live, restored in counts)
    assert rows_behind(made) == behind


def test_without_a_means_of_holding_the_plan_says_that_requests_fail_during_the_swap() -> None:
    seen = data_only().model_copy(update={"holds": ()})
    plan = planned(seen, scenario=Scenario.DATA)
    assert plan.downtime is not None
    swap, reconnect = step(plan, "data.swap").key, step(plan, "service.reconnect").key
    assert f"they fail during {swap} … {reconnect}" in str(plan.downtime.basis)


# --- whether it may run -------------------------------------------------------------------------


def test_a_plan_that_has_to_be_accepted_names_the_whole_command() -> None:
    plan = planned(full(free_bytes=None), max_loss_rows=7)
    refused = refusal(plan, NOW)
    assert refused is not None
    assert refused.next_command == (
        "backout plan --to 5.4.0 --scenario full --backup b1 --max-loss 7 --accept space-unknown"
    )


def test_without_any_hold_a_script_that_switches_at_once_needs_a_word_for_the_old_code() -> None:
    """The bad release would act on the restored schema until the script has run."""
    seen = full().model_copy(update={"holds": ()})
    plan = planned(seen, COMMAND)
    (found,) = [f for f in plan.findings if f.rule == "plan.invariant"]
    assert "5.5.0" in str(found.evidence) and found.accept == "schema-unknown"


def held_to(plan: Plan) -> object:
    return step(plan, "restore.check").spec.params["usable"]


def test_what_is_restored_is_held_to_what_the_target_uses_and_to_the_rows_counted_in_the_snapshot() -> None:
    check = step(planned(full()), "restore.check").spec
    assert check.params["usable"] == [OLD.fingerprint]
    assert check.params["rows"] == {"public.t": 1000}


def test_rows_that_were_only_estimated_hold_nothing() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b1", 4, OLD, rows={"public.t": 9})))
    assert step(planned(seen), "restore.check").spec.params["rows"] == {}


def test_a_schema_that_was_judged_by_rule_is_one_that_the_check_lets_through() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b2", 4, NEW)))
    assert held_to(planned(seen, backup="b2")) == [OLD.fingerprint, NEW.fingerprint]


def test_a_schema_that_was_accepted_by_name_is_one_that_the_check_lets_through() -> None:
    strange = Schema()
    seen = facts(BAD, GOOD, data=data_facts(backup("b2", 4, strange)))
    plan = planned(seen, backup="b2", accept=("schema-unknown",))
    assert refusal(plan, NOW) is None
    assert strange.fingerprint in held_to(plan)  # type: ignore[operator]


def test_where_nothing_is_known_of_the_target_any_schema_that_was_accepted_may_stand() -> None:
    unproven = GOOD.model_copy(update={"served_well": (), "schema_fingerprint": None})
    seen = facts(BAD, unproven, data=data_facts(backup("dump", 4)))
    assert held_to(planned(seen, accept=("schema-unknown",))) == []


def test_full_to_what_runs_already_waits_for_it_after_the_swap() -> None:
    """The code was taken back before; its connections end with the swap, and nothing else would notice."""
    seen = facts(BAD, GOOD, current="5.4.0", bad="5.5.0", data=data_facts(backup("b1", 4, OLD)), holds=HOLDS)
    kinds = told(planned(seen))
    after = kinds[kinds.index("data.swap") :]
    assert after[:2] == ["data.swap", "service.reconnect"]
    assert step(planned(seen), "service.reconnect").spec.params["restart"]


# --- names --------------------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=70), st.sampled_from(["restored", "before", "prepared"]))
def test_a_name_beside_fits_and_tells_which_database_and_when(live: str, what: str) -> None:
    live = live.encode(errors="ignore").decode()
    name = database_name(live, what, datetime(2026, 11, 23, 2, 0, 0, tzinfo=UTC))
    assert len(name.encode()) <= 63
    assert name.endswith(f"_{what}_20261123_020000")
    if len(live.encode()) <= 30:
        assert name.startswith(live)


@given(st.text(min_size=64, max_size=70), st.text(min_size=1, max_size=3))
def test_long_names_that_begin_alike_do_not_meet(live: str, more: str) -> None:
    live, more = live.encode(errors="ignore").decode(), more.encode(errors="ignore").decode()
    names = {database_name(n, "before", NOW) for n in {live, live + more}}
    assert len(names) == len({live, live + more})


def test_phases_stand_in_their_order_in_every_kind_of_data_plan() -> None:
    order = list(Phase)
    for scenario in (Scenario.DATA, Scenario.FULL):
        for first in (False, True):
            for platform in (PROCESS, COMMAND):
                plan = planned(data_only(), platform, scenario=scenario, hold_first=first)
                positions = [order.index(s.phase) for s in plan.steps]
                assert positions == sorted(positions)
                assert Plan.model_validate_json(plan.model_dump_json()).digest == plan.digest


def test_each_step_that_changes_code_or_schema_stands_in_a_phase_that_a_resume_knows_to_change_it() -> None:
    """Else a resume takes this run's own doing for somebody else's, and refuses to go on."""
    from backout.execute.runner import SWITCHES
    from backout.plan.start import world_now

    for platform in (PROCESS, COMMAND):
        for scenario in (Scenario.DATA, Scenario.FULL):
            seen = data_only()
            world = world_now(seen)
            for one in planned(seen, platform, scenario=scenario).steps:
                after = KINDS[one.spec.kind].effect(one.spec, world)[-1]
                if after.code != world.code:
                    assert "wanted" in SWITCHES[one.phase]
                if after.fingerprint != world.fingerprint:
                    assert "schema" in SWITCHES[one.phase]
                world = after


def test_the_backup_that_was_taken_at_that_hour_is_in_the_plan() -> None:
    plan = planned(full())
    assert plan.data is not None
    assert (plan.data.backup, plan.data.taken_at) == ("b1", hours(4))
